"""Whether a run gives its dataset or none when its processes are killed at random moments.

    python benchmarks/kills.py                          # 20 kills each of a run of programs and of one of a network
    python benchmarks/kills.py --kills 5 --seed 7       # other moments

A run gets one kill, or several: of a worker or of the process that workers are forked from, with a signal that
something else may send. It must end with the dataset of the undisturbed run or with exit code 2 and none, and leave no
process and nothing in the temporary folder. The last line says how many did not; the exit code is 1 when there are any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from processes import Processes
from tabulate import tabulate

GENERATE = Path(__file__).resolve().parents[1] / "scripts" / "generate.py"
RUNS = {
    "programs": ("dims=small", "num_samples=60", "check=execute"),
    "network": ("models=[resnet18]", "models.resnet18.sizes.resolution=32", "ops=[]", "check=execute"),
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)
_SHARE_OF_WORKERS = 0.7
_MOST_KILLS_OF_A_RUN = 4


@dataclass(frozen=True)
class Result:
    """What became of a run.

    Attributes:
        exit_code: of the script.
        digest: of its dataset; None when there is none.
        left: what it left, of processes and in the temporary folder.
        kills: who was killed, by what and when.
        seconds: that it took from when it had its fork server.
        errors: what it printed on standard error.
    """

    exit_code: int
    digest: str | None
    left: str
    kills: Sequence[str]
    seconds: float
    errors: str

    def is_right(self, digest: str | None) -> bool:
        """Tell whether it gave the dataset of an undisturbed run or, with exit code 2, none."""
        refused = self.exit_code == 2 and self.digest is None and "Traceback" not in self.errors
        return not self.left and (refused or (self.exit_code == 0 and self.digest == digest))


def run(settings: Sequence[str], moments: Sequence[float], chance: random.Random) -> Result:
    """Make a dataset, and kill one of the run's processes at each moment.

    Args:
        settings: what `generate.py` is given.
        moments: in seconds after the fork server has begun, rising.
        chance: chooses processes and signals.
    """
    with tempfile.TemporaryDirectory(prefix="mlir_datagen_kills_") as name:
        folder = Path(name)
        temporary = folder / "tmp"
        temporary.mkdir()
        processes = Processes({**os.environ, "TMPDIR": str(temporary)})
        script = subprocess.Popen(
            [sys.executable, str(GENERATE), "report=false", *settings],
            cwd=folder,
            env=processes.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while script.poll() is None and not processes.fork_servers():
            time.sleep(0.01)
        begun = time.monotonic()
        kills = []
        for moment in moments:
            time.sleep(max(0, begun + moment - time.monotonic()))
            kills += [f"{moment:.2f} s: {killed}" for killed in _kill_one(processes, chance)]
        _, errors = script.communicate()
        seconds = time.monotonic() - begun
        left = [] if processes.end_within(2) else [f"{len(processes.alive())} processes"]
        processes.kill()
        # PyTorch leaves a folder of its own.
        left += [path.name for path in temporary.glob("mlir_datagen_*") if path.suffix != ".lock"]
        datasets = [json.loads(path.read_text())["digest"] for path in folder.glob("outputs/*/manifest.json")]
        digest = datasets[0] if datasets else None
        if digest is None:
            left += [path.name for path in folder.glob("outputs/*")]
        return Result(script.returncode, digest, ", ".join(left), kills, seconds, errors)


def _kill_one(processes: Processes, chance: random.Random) -> list[str]:
    """Kill a process; return who it was, and by what, as far as there was one."""
    kind = "worker" if chance.random() < _SHARE_OF_WORKERS else "fork server"
    number = chance.choice(SIGNALS)
    found = sorted(processes.workers() if kind == "worker" else processes.fork_servers())
    with suppress(ProcessLookupError, IndexError):
        os.kill(chance.choice(found), number)
        return [f"{kind} {number.name}"]
    return []


def main() -> None:
    """Kill, and print what became of it."""
    parser = argparse.ArgumentParser(description="Kill processes of runs at random moments.")
    parser.add_argument("--kills", type=int, default=20, help="how many of each kind of run (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="decides who is killed, by what and when (default: 0)")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), help="the kinds of run (default: all)")
    arguments = parser.parse_args()
    wrong = 0
    for kind in arguments.runs:
        chance = random.Random(f"{arguments.seed} {kind}")  # noqa: S311, no secret
        undisturbed = run(RUNS[kind], (), chance)
        print(f"{kind}: undisturbed {undisturbed.seconds:.1f} s, digest {str(undisturbed.digest)[:12]}", flush=True)
        wrong += not (undisturbed.digest and undisturbed.is_right(undisturbed.digest))
        rows = []
        killed = 0
        while killed < arguments.kills:
            number = min(chance.randint(1, _MOST_KILLS_OF_A_RUN), arguments.kills - killed)
            moments = sorted(chance.uniform(0, undisturbed.seconds) for _ in range(number))
            result = run(RUNS[kind], moments, chance)
            is_right = result.is_right(undisturbed.digest)
            wrong += not is_right
            killed += len(result.kills)
            made = "no dataset" if result.digest is None else "the same" if is_right else result.digest[:12]
            rows.append(
                [
                    "\n".join(result.kills),
                    result.exit_code,
                    made,
                    result.left or "nothing",
                    f"{result.seconds:.1f}",
                    "" if is_right else "WRONG",
                ]
            )
            if not is_right:
                print(result.errors, file=sys.stderr)
        print(tabulate(rows, headers=["killed", "exit code", "dataset", "left", "seconds", ""]), flush=True)
    print(f"runs that were wrong: {wrong}")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
