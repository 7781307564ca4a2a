"""The Python examples of the README run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys

from helpers import REPOSITORY


def run(script: str, folder) -> None:
    """Run a script as a user does who writes no main guard."""
    path = folder / "example.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_our_readmes_examples_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    run("\n".join(blocks), tmp_path)
