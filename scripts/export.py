"""Write a dataset in the format of a consumer: `python scripts/export.py mlir_rl outputs/<dataset>`.

Programs without a measured time are measured first, where the format has times.
"""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mlir_datagen.config.export import DEFAULT_MIN_NS, ExportSettings, parse_time_bounds
from mlir_datagen.export import EXPORTERS
from mlir_datagen.export.base import export_dataset
from mlir_datagen.pipeline.run import Listener

_WHEN_STOPPED = "Stopped; the times measured so far are kept. The same command starts again."


def main() -> None:
    """Export the dataset that the command line names."""
    parser = argparse.ArgumentParser(description="Write a finished dataset in the format of a consumer.")
    parser.add_argument("consumer", choices=EXPORTERS, help="the format")
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    parser.add_argument(
        "--no-measure",
        action="store_true",
        help="measure nothing: refuse a dataset without times, and leave out what needs one of its own",
    )
    parser.add_argument(
        "--train", nargs="+", metavar="SPLIT", help="splits to train on, such as train extracted; default train"
    )
    parser.add_argument(
        "--min-ns",
        type=_time,
        default=DEFAULT_MIN_NS,
        metavar="N",
        help="leave out programs that take less, in nanoseconds; none: no bound (default: %(default)s)",
    )
    parser.add_argument("--max-ns", type=_time, metavar="N", help="leave out programs that take more (default: none)")
    parser.add_argument(
        "--no-torch", action="store_true", help="do not measure PyTorch, where the format has its times"
    )
    arguments = parser.parse_args()
    bounds = parse_time_bounds(arguments.min_ns, arguments.max_ns, "--min-ns", "--max-ns")
    train = None if arguments.train is None else tuple(arguments.train)
    settings = ExportSettings(arguments.consumer, train, bounds, not arguments.no_torch)
    with tqdm(unit=" programs", disable=None, leave=False) as bar:

        def on_wait() -> None:
            print("Another run is writing this export; waiting for it.", file=sys.stderr)

        listener = Listener(bar.reset, bar.update, on_wait)
        exporter, measure = EXPORTERS[arguments.consumer], not arguments.no_measure
        done = export_dataset(exporter, arguments.dataset, measure, listener, settings)
    if done.existed:
        print("This export is finished already, and its files are as its record says.")
    for (split, name), failure in done.unmeasured:
        print(f"{split}/{name} has no time: it failed at the stage {failure.stage}: {failure.reason}")
    print(done.account)
    print(f"exported: {done.folder}")


def _time(text: str) -> int | None:
    return None if text == "none" else int(text)


if __name__ == "__main__":
    sys.exit(_cli.run(main, _WHEN_STOPPED))
