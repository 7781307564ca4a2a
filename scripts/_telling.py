"""What scripts that make a dataset tell: how far they are, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from mlir_datagen.errors import listed
from mlir_datagen.pipeline.run import Listener, Outcome


@contextmanager
def progress() -> Iterator[Listener]:
    """Have what shows on a terminal how far a run is."""

    def on_wait() -> None:
        print("Another run is writing this dataset; waiting for it.", file=sys.stderr)

    def on_resume(programs: int) -> None:
        print(f"Going on from {programs} programs that a stopped run has left.", file=sys.stderr)

    # Without a terminal there is no bar (disable=None).
    with tqdm(unit=" programs", disable=None, leave=False, delay=0.2) as bar:
        yield Listener(bar.reset, bar.update, on_wait, on_resume)


def present(dataset: Path) -> None:
    """Make what shows a dataset, and tell on a terminal how far that is."""
    # Only here, since a run may leave it away.
    from mlir_datagen.pipeline.presenting import present_dataset

    with tqdm(unit=" parts", disable=None, leave=False, delay=0.2) as bar:
        present_dataset(dataset, Listener(bar.reset, bar.update))


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
        print(remark)
    for rejected in outcome.rejected:
        # Where programs are drawn, others take the place of those.
        if rejected.name:
            print(f"{rejected.split}/{rejected.name} was rejected at the stage {rejected.stage}: {rejected.reason}")
    if not outcome.existed:
        print(f"made in {seconds:.1f} s")
    print(f"dataset: {outcome.path}")


def _scarce(quota: Mapping[str, Any]) -> str:
    """Say which strata have fewer programs than their share."""
    scarce = [stratum for stratum in quota.get("strata", ()) if stratum["planned"] < stratum["asked"]]
    return listed(f"{one['planned']} of {one['asked']} from {one['from']:g} to {one['to']:g} s" for one in scarce)
