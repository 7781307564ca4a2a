"""Whether every suite of conf/suites/ is made of the programs that its digest says.

    python benchmarks/suites.py                     # all, which takes a minute
    python benchmarks/suites.py networks bert_ops

A run stops when a suite's programs are others. The exit code is that of the run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Make the suites that the command line names, as one dataset that is not kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="*", help="their names; without any, all are made")
    chosen = parser.parse_args().suites or sorted(path.stem for path in _REPOSITORY.glob("conf/suites/*.yaml"))
    settings = ("ops=[]", f"suites=[{','.join(chosen)}]", "report=false")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(_REPOSITORY / "scripts" / "generate.py"), *settings, f"output_dir={folder}"]
        return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
