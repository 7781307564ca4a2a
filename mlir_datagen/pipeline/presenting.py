"""Making what shows a finished dataset: the one place that knows what that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mlir_datagen.dataset.disk_errors import SHOWING
from mlir_datagen.dataset.locks import locked
from mlir_datagen.dataset.manifest import PRESENTATION_KEY
from mlir_datagen.dataset.presented import is_presented, rest_command, write_page, write_presentation
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import Listener
from mlir_datagen.presentation.pictures import PICTURE_TEXTS

Maker = Callable[[Dataset], dict[str, bytes]]
"""Returns files that show a dataset, by path in its folder."""


def _croissant(dataset: Dataset) -> dict[str, bytes]:
    # Only here, and so in all makers: they bring libraries that nothing else needs.
    from mlir_datagen.presentation.croissant import CROISSANT, croissant_file

    return {CROISSANT: croissant_file(dataset)}


def _pictures_and_report(dataset: Dataset) -> dict[str, bytes]:
    from mlir_datagen.presentation.facts import dataset_facts
    from mlir_datagen.presentation.pictures import draw_pictures
    from mlir_datagen.presentation.report import REPORT, report_page

    facts = dataset_facts(dataset)
    return {**draw_pictures(facts), REPORT: report_page([dataset], [facts])}


_COMPARED = 2

MAKERS: tuple[Maker, ...] = (_croissant, _pictures_and_report)
"""All that make files of the presentation, in the order in which they do."""


def present_dataset(folder: Path, listener: Listener | None = None) -> list[Path]:
    """Make what shows a dataset, unless it is there already; return the files.

    The dataset is finished whatever becomes of it.

    Args:
        folder: the dataset.
        listener: told of how many files are to be made, and of each.

    Raises:
        UserError: when it is no dataset, is damaged, or cannot be written.
    """
    listener = listener or Listener()
    folder = folder.resolve()
    Dataset(folder)
    try:
        # Of two that make the same, the second finds it.
        with locked(folder, listener.on_wait):
            dataset = Dataset(folder)
            if not is_presented(folder, dataset.manifest):
                _make(dataset, listener)
            return [folder / file for file in dataset.manifest[PRESENTATION_KEY]["files"]]
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"Stopped while what shows the dataset was made ({SHOWING}); it is finished. To make the rest: "
            f"{rest_command(folder)}"
        )
        raise


def compare_datasets(folders: Sequence[Path], page: Path, listener: Listener | None = None) -> Path:
    """Write a page that lays two datasets side by side, in place of what is there under its name; return its path.

    Args:
        folders: the datasets.
        page: the file.
        listener: told of how many datasets are read, and of each.

    Raises:
        UserError: when there are not two different ones, one is damaged, or the page cannot be written.
    """
    listener = listener or Listener()
    if len({folder.resolve() for folder in folders}) != _COMPARED or len(folders) != _COMPARED:
        raise UserError(
            f"A report is of one dataset, or of two different ones side by side; {len(folders)} are named here. Name "
            "two: python scripts/report.py outputs/<dataset> outputs/<another>"
        )
    datasets = [Dataset(folder) for folder in folders]
    # Only here, as the makers.
    from mlir_datagen.presentation.facts import dataset_facts
    from mlir_datagen.presentation.report import report_page

    listener.on_start(len(datasets))
    facts = []
    for dataset in datasets:
        facts.append(dataset_facts(dataset))
        listener.on_written(1)
    write_page(page, report_page(datasets, facts))
    return page


def _make(dataset: Dataset, listener: Listener) -> None:
    listener.on_start(len(MAKERS))
    files: dict[str, bytes] = {}
    for make in MAKERS:
        files |= make(dataset)
        listener.on_written(1)
    pictures = {file: text for file, text in PICTURE_TEXTS.items() if file in files}
    write_presentation(dataset.folder, dataset.manifest, files, pictures)
