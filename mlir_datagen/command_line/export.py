"""Write a dataset in the format of a consumer: `mlir-datagen export mlir_rl outputs/<dataset>`.

Programs without a measured time are measured first, where the format has times.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command, Several
from mlir_datagen.command_line.running import saying_when_stopped
from mlir_datagen.command_line.telling import progress, say, say_next
from mlir_datagen.config.export import DEFAULT_MIN_NS, ExportSettings, parse_time_bounds
from mlir_datagen.export import EXPORTERS
from mlir_datagen.export.base import export_dataset

_WHEN_STOPPED = "Stopped; the times measured so far are kept. The same command starts again."


def _main(
    consumer: str,
    dataset: Path,
    no_measure: bool,
    train: tuple[str, ...],
    min_ns: int | None,
    max_ns: int | None,
    no_torch: bool,
) -> None:
    bounds = parse_time_bounds(min_ns, max_ns, "--min-ns", "--max-ns")
    settings = ExportSettings(consumer, train or None, bounds, not no_torch)
    exporter, measure = EXPORTERS[consumer], not no_measure
    started = time.perf_counter()
    with saying_when_stopped(_WHEN_STOPPED), progress(counting="measuring", waits_for="export") as listener:
        done = export_dataset(exporter, dataset, measure, listener, settings)
    if done.existed:
        print("This export is finished already, and its files are as its record says.")
    for (split, name), failure in done.unmeasured:
        print(f"{split}/{name} has no time: it failed at the stage {failure.stage}: {failure.reason}")
    say(done.account)
    print(f"exported in {time.perf_counter() - started:.1f} s")
    say_next("to check it", "check", str(done.folder))
    print(f"exported: {done.folder}")


def _time(context: click.Context, _: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text in (None, "none") else int(str(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number of nanoseconds, and not none", context) from None


command = Command(
    "export",
    callback=_main,
    help="Write a finished dataset in the format of a consumer. Programs without a measured time are measured first.",
    params=[
        click.Argument(["consumer"], type=click.Choice(list(EXPORTERS)), help="the format"),
        click.Argument(["dataset"], type=click.Path(path_type=Path), help="the dataset's folder"),
        click.Option(
            ["--no-measure"],
            is_flag=True,
            help="measure nothing: refuse a dataset without times, and leave out what needs one of its own",
        ),
        Several(["--train"], metavar="SPLIT...", help="splits to train on, such as train extracted (default: train)"),
        click.Option(
            ["--min-ns"],
            callback=_time,
            default=str(DEFAULT_MIN_NS),
            show_default=True,
            metavar="N",
            help="leave out programs that take less, in nanoseconds; none: no bound",
        ),
        click.Option(
            ["--max-ns"], callback=_time, metavar="N", help="leave out programs that take more (default: none)"
        ),
        click.Option(["--no-torch"], is_flag=True, help="do not measure PyTorch, where the format has its times"),
    ],
    examples=[
        ("mlir_rl outputs/<dataset>", "what MLIR-RL trains on, in outputs/<dataset>/mlir_rl"),
        ("mlir_rl outputs/<dataset> --train train extracted", "other splits to train on"),
        ("mlir_rl outputs/<dataset> --min-ns 100000 --max-ns 1000000000", "times of 0.1 ms to 1 s only"),
    ],
)
