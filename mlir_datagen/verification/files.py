"""The folder: that its files are there, are real ones, are as listed, and that there is no other."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.card import CARD
from mlir_datagen.dataset.description import CONFIG
from mlir_datagen.dataset.exported import check_exports
from mlir_datagen.dataset.finished import changed_files, listed_files
from mlir_datagen.dataset.manifest import MANIFEST, presented_files
from mlir_datagen.dataset.paths import program_file
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.rejects import REJECTS
from mlir_datagen.dataset.weights import WEIGHTS_FOLDER
from mlir_datagen.dataset.writer import CHECKSUMS
from mlir_datagen.errors import said
from mlir_datagen.programs.program import NETWORKS_SPLIT
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.verification.summary import Summary


def check_files(dataset: Dataset, refuse: Callable[[list[str], str | None], None]) -> str:
    """Check the files against what lists them; return what was checked, as a sentence.

    Args:
        dataset: the dataset.
        refuse: raises problems, if there are any, with what to do about them; None where it is to make it again.
    """
    folder, manifest = dataset.folder, dataset.manifest
    present: list[str] = []
    problems: list[str] = []
    for file, mode in _walk(str(folder), ""):
        if stat.S_ISREG(mode):
            present.append(file)
        elif stat.S_ISLNK(mode):
            problems.append(f"{said(file)} is a symbolic link, and all of a dataset must be in its folder")
        else:
            problems.append(f"{said(file)} is neither a file nor a folder")
    refuse(problems, None)
    # The manifest vouches for SHA256SUMS, and that for all the rest.
    refuse(list(changed_files(folder, {CHECKSUMS: manifest["files"][CHECKSUMS]})), None)
    listed = {**dataset.checksums(), **listed_files(manifest), **presented_files(manifest)}
    problems = list(changed_files(folder, listed))
    exports = check_exports(folder, manifest["digest"])
    exported = {file for files in exports.values() for file in files}
    strays = [f"{said(file)} does not belong to it" for file in sorted({*present} - {*listed, MANIFEST} - exported)]
    refuse([*problems, *strays], None if problems else "Move what does not belong to it away, and verify it again.")
    besides = f" but the exports {', '.join(exports)}, which are whole" if exports else ""
    return f"{len(listed)} files are as SHA256SUMS and the manifest say, and there is no other{besides}."


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield all that is in a folder and is none itself: its path and its mode; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", mode


def file_set_problems(
    dataset: Dataset, config: RunConfig, summary: Summary, rejected: Sequence[Rejected]
) -> Iterator[str]:
    """Say which files are listed that no program and no description is, and which are not listed."""
    indexes = {
        file
        for split, names in summary.names.items()
        for file in config.dataset_settings.index_files(split, len(names))
    }
    described = {CONFIG, CARD, *indexes, *([REJECTS] if rejected else [])}
    programs = {
        program_file(split, name)
        for split, names in summary.names.items()
        if config.storage != "parquet"
        for name in names
    }
    weights = {
        f"{WEIGHTS_FOLDER}/{name}.safetensors"
        for name in (summary.names.get(NETWORKS_SPLIT, ()) if config.save_weights else ())
    }
    for where, listed, expected in (
        (MANIFEST, set(dataset.manifest["files"]), {*described, CHECKSUMS}),
        (CHECKSUMS, set(dataset.checksums()), described | programs | weights),
    ):
        for file in sorted(listed ^ expected):
            yield f"{where} {'lists' if file in listed else 'does not list'} {said(file)}"
