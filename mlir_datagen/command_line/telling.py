"""What the subcommands tell: what is done now, how far it is and for how long yet; and what came of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from mlir_datagen.command_line.typed import as_typed, command
from mlir_datagen.errors import listed
from mlir_datagen.pipeline.run import Listener, Outcome

_SECONDS = 0.5
"""As often a terminal shows the time that something takes."""
_STAGE = "{desc} [{elapsed}]"


class _Shown:
    """A line on a terminal: a stage and for how long it has lasted, or a bar with the rate and the time left.

    Where standard error is no terminal, nothing is shown. A thread keeps the clock going: for seconds on end, nothing
    is finished that would be counted.

    Args:
        stage: what is done first.
        counting: what is done while programs are counted.
        waits_for: what is waited for when another run does the same.
        unit: what is counted.
    """

    def __init__(self, stage: str, counting: str, waits_for: str, unit: str) -> None:
        self._counting, self._waits_for = counting, waits_for
        self._bar = tqdm(desc=stage, bar_format=_STAGE, unit=f" {unit}", disable=None, leave=False, dynamic_ncols=True)
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self.listener = Listener(self.start, self._bar.update, self._wait, self._resume, self.enter)
        if not self._bar.disable:
            self._clock.start()

    def enter(self, stage: str) -> None:
        """Show the name of another stage."""
        if not self._bar.disable:
            self._bar.bar_format = _STAGE
            self._bar.set_description_str(stage, refresh=False)
            self._bar.reset()

    def start(self, total: int) -> None:
        """Show a bar of so many programs."""
        if not self._bar.disable:
            self._bar.bar_format = None
            self._bar.set_description_str(self._counting, refresh=False)
            self._bar.reset(total)

    def end(self) -> None:
        """Show nothing more."""
        self._ended.set()
        if self._clock.is_alive():
            self._clock.join()
        self._bar.close()

    def _tick(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._bar.refresh()

    def _wait(self) -> None:
        self._say(f"Another run is writing this {self._waits_for}; waiting for it.")

    def _resume(self, programs: int) -> None:
        self._say(f"Going on from {programs} programs that a stopped run has left.")

    def _say(self, line: str) -> None:
        if self._bar.disable:
            print(line, file=sys.stderr)
        else:
            self._bar.write(line, file=sys.stderr)


@contextmanager
def progress(
    stage: str = "preparing", counting: str = "making", waits_for: str = "dataset", unit: str = "programs"
) -> Iterator[Listener]:
    """Have a terminal show what is done, how far it is, and how long it takes yet.

    Args:
        stage: what is done first.
        counting: what is done while programs are counted.
        waits_for: what is waited for when another run does the same.
        unit: what is counted.
    """
    shown = _Shown(stage, counting, waits_for, unit)
    try:
        yield shown.listener
    finally:
        shown.end()


def present(dataset: Path) -> list[Path]:
    """Make what shows a dataset, and tell on a terminal how far that is; return the files."""
    # Only here, since a run may leave it away.
    from mlir_datagen.pipeline.presenting import present_dataset

    with progress("drawing", "drawing", unit="parts") as listener:
        return present_dataset(dataset, listener)


def say(sentence: object) -> None:
    """Print a sentence of another part, which may name commands."""
    print(as_typed(str(sentence)))


def say_next(meaning: str, subcommand: str, *arguments: str) -> None:
    """Print what may be typed next."""
    print(f"{meaning}: {command(subcommand, *arguments)}")


def print_outcome(outcome: Outcome, seconds: float) -> None:
    """Print what a dataset has, what was rejected, and where it is."""
    manifest = outcome.manifest
    if outcome.existed:
        print("This dataset is finished already, and its files are as its manifest says.")
    rows = []
    for split, counts in manifest["counts"].items():
        for family, made in counts.items():
            quota = manifest["quotas"].get(family, {}).get(split)
            if quota is None:
                rows.append([split, family, "", made, "", ""])
                continue
            note = "all that exist" if quota["exhausted"] else _scarce(quota)
            rows.append([split, family, quota["asked"], made, quota["rejected"], note])
    print(tabulate(rows, headers=["split", "op", "asked for", "made", "rejected", ""]))
    funnel = manifest["funnel"]
    print(f"{funnel['kept']} programs kept of {funnel['attempted']} attempted")
    for remark in outcome.remarks:
        say(remark)
    for rejected in outcome.rejected:
        # Where programs are drawn, others take the place of those.
        if rejected.name:
            print(f"{rejected.split}/{rejected.name} was rejected at the stage {rejected.stage}: {rejected.reason}")
    if not outcome.existed:
        print(f"made in {seconds:.1f} s")
    say_next("to look at it", "show", str(outcome.path))
    for page in outcome.path.glob("*.html"):
        print(f"or in a browser: {page}")
    print(f"dataset: {outcome.path}")


def _scarce(quota: Mapping[str, Any]) -> str:
    """Say which strata have fewer programs than their share."""
    scarce = [stratum for stratum in quota.get("strata", ()) if stratum["planned"] < stratum["asked"]]
    return listed(f"{one['planned']} of {one['asked']} from {one['from']:g} to {one['to']:g} s" for one in scarce)
