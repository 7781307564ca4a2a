"""Making a dataset again from its saved config, and comparing every byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.card import CARD
from mlir_datagen.dataset.card_sections import bare_card
from mlir_datagen.dataset.description import CONFIG
from mlir_datagen.dataset.manifest import MANIFEST, environment, read_manifest
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.dataset.writer import CHECKSUMS
from mlir_datagen.errors import UserError, said
from mlir_datagen.foreign import open_regular
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.verification import UNVERIFIABLE_KEYS, refuse
from mlir_datagen.version import GENERATOR_VERSION

_READ_SIZE = 1 << 20


def reproduce(folder: Path, work_dir: Path | None, listener: Listener, trust: tuple[str, ...] = ()) -> str:
    """Make a dataset again in a temporary folder and compare.

    Args:
        folder: the dataset.
        work_dir: where the temporary folder goes; the system's place for such when left out.
        listener: told of the progress.
        trust: packages whose classes the dataset's networks may import.

    Returns:
        What was compared, as a sentence.

    Raises:
        UserError: when it is of another generator version, or any byte differs.
    """
    dataset = Dataset(folder)
    made_by = dataset.manifest["generator_version"]
    if made_by != GENERATOR_VERSION:
        raise UserError(
            f"{folder} was made by generator version {made_by}, and this is version {GENERATOR_VERSION}, which makes "
            f"other bytes from the same config. Check out a commit of version {made_by} of mlir_datagen to reproduce it"
            f"{_commit_hint(dataset.manifest)}."
        )
    config = load_saved_config(folder / CONFIG)
    if work_dir is not None and not work_dir.is_dir():
        raise UserError(f"{work_dir} is not a folder, so the dataset cannot be made again in it. Name one: --work-dir.")
    with scratch_folder(work_dir) as scratch:
        again = generate(dataclasses.replace(config, output_dir=scratch, dry_run=False, trust=trust), listener).path
        listener.on_stage("comparing")
        files = sorted({*dataset.checksums()} - {CARD})
        differences = [
            *_different_files(folder, again, files),
            *_different_card(folder, again),
            *_different_checksums(dataset, Dataset(again)),
            *_different_manifest(dataset.manifest, again),
        ]
        if differences and (cause := _different_environment(dataset.manifest)):
            differences.append(cause)
        refuse(folder, differences)
    return f"{len(files) + 3} files came back the same, byte for byte ({dataset.count()} programs)."


def _different_files(folder: Path, again: Path, files: list[str]) -> Iterator[str]:
    for file in files:
        if not (again / file).is_file():
            yield f"{said(file)} does not come back"
        elif not (folder / file).is_file():
            yield f"{said(file)} is missing"
        elif not _same_bytes(folder / file, again / file):
            yield f"{said(file)} differs from what its config makes"


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with open_regular(one) as left, open_regular(other) as right:
        while piece := left.read(_READ_SIZE):
            if piece != right.read(_READ_SIZE):
                return False
    return True


def _different_card(folder: Path, again: Path) -> Iterator[str]:
    """Compare all of the cards but measured times and pictures."""
    if not (folder / CARD).is_file():
        yield f"{CARD} is missing"
    elif bare_card((folder / CARD).read_text()) != bare_card((again / CARD).read_text()):
        yield f"{CARD} differs from what its config makes"


def _different_checksums(dataset: Dataset, again: Dataset) -> Iterator[str]:
    """Compare all that SHA256SUMS lists but the card, in its order."""
    found, made = ([item for item in of.checksums().items() if item[0] != CARD] for of in (dataset, again))
    if found != made:
        yield f"{CHECKSUMS} differs from what its config makes"


def _different_manifest(manifest: dict[str, Any], again: Path) -> Iterator[str]:
    """Compare all of the manifests but what made each, measured times, and what shows the dataset."""
    made = read_manifest(again)
    for one in (manifest, made):
        one["files"] = {file: digest for file, digest in one["files"].items() if file not in (CARD, CHECKSUMS)}
    for key in sorted({*manifest, *made} - UNVERIFIABLE_KEYS):
        if manifest.get(key) != made.get(key):
            yield f"{MANIFEST} differs in {key}"


def _different_environment(manifest: dict[str, Any]) -> str:
    recorded = manifest["environment"]
    here = environment(with_networks="torch" in recorded)
    differing = [
        f"{name} {said(recorded.get(name))} (here {value})"
        for name, value in here.items()
        if recorded.get(name) != value
    ]
    return f"it was made with {', '.join(differing)}" if differing else ""


def _commit_hint(manifest: dict[str, Any]) -> str:
    commit = manifest.get("environment", {}).get("git_commit")
    return f" (the manifest names {said(commit)})" if commit else ""
