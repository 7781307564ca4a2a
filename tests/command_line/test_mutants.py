"""A sample of `benchmarks/mutants.py`: wrong programs of every family, which the check finds.

Wrong networks are in tests/networks/test_oracle.py, and more of them in that benchmark.
"""

from __future__ import annotations

import re
import subprocess
import sys

from helpers import REPOSITORY
from mlir19 import libraries


def mutants(*arguments):
    script = REPOSITORY / "benchmarks" / "mutants.py"
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=900)


def figures(printed, row):
    """Return planted, differ, caught, missed, not claimed, not run of a row of the table."""
    return [int(number) for number in re.search(rf"^{row}((?: +\d+)+)$", printed, re.MULTILINE)[1].split()]


def test_wrong_programs_of_all_families_are_caught_and_right_ones_kept():
    libraries()
    done = mutants("--networks", "--count", "48", "--right", "24", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    planted, differ, caught, missed, _, not_run = figures(done.stdout, "all")
    assert (planted, missed, not_run) == (48, 0, 0)
    assert caught == differ > 33
    for kind in ("initial value", "stride", "off by one", "another operation", "maximum for minimum"):
        assert figures(done.stdout, kind)[2] > 0, kind
    assert "0 of 24 right programs rejected" in done.stdout
