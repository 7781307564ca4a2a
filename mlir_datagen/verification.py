"""Checking a finished dataset against all that it claims: files, parser, uniqueness, splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson

from mlir_datagen.config.compose import load_saved_config
from mlir_datagen.dataset.finished import CONFIG, listed_files
from mlir_datagen.dataset.manifest import MANIFEST
from mlir_datagen.dataset.reader import Dataset, StoredProgram, changed_files
from mlir_datagen.dataset.writer import CHECKSUMS
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops import FAMILIES
from mlir_datagen.proving.batch import Progress
from mlir_datagen.sources.split import Splitter
from mlir_datagen.version import GENERATOR_VERSION

_SHOWN = 10


def verify_dataset(folder: Path, progress: Progress = lambda count: None) -> list[str]:
    """Check every file and every program of a dataset.

    Returns:
        What was checked, a sentence each.

    Raises:
        UserError: when something does not hold; it names the files or programs.
    """
    dataset = Dataset(folder)
    checked = [_check_files(dataset)]
    checked += _check_programs(dataset, progress)
    return checked


def refuse(folder: Path, problems: list[str]) -> None:
    """Raise what was found, if anything was.

    Raises:
        UserError: with the first problems and the number of the others.
    """
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError(
            f"{folder} does not hold what it claims: {'; '.join(problems[:_SHOWN])}{more}. Generate it again: "
            f"delete the folder and run scripts/generate.py with the settings of its {CONFIG}."
        )


def _check_files(dataset: Dataset) -> str:
    folder, manifest = dataset.folder, dataset.manifest
    # The manifest vouches for SHA256SUMS, and that for all the rest.
    refuse(folder, list(changed_files(folder, {CHECKSUMS: manifest["files"][CHECKSUMS]})))
    listed = {**dataset.checksums(), **listed_files(manifest)}
    problems = list(changed_files(folder, listed))
    known = {*listed, MANIFEST}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    problems += [f"{file} does not belong to it" for file in sorted(present - known)]
    refuse(folder, problems)
    return f"{len(listed)} files are as SHA256SUMS and the manifest say, and there is no other."


def _check_programs(dataset: Dataset, progress: Progress) -> list[str]:
    config = load_saved_config(dataset.folder / CONFIG)
    same_generator = dataset.manifest["generator_version"] == GENERATOR_VERSION
    verifier, splitter = Verifier(), Splitter(config.split_ratios)
    first_places: dict[bytes, str] = {}
    problems: list[str] = []
    count = 0
    digest = hashlib.sha256()
    for program in dataset.programs():
        place = f"{program.split}/{program.name}"
        digest.update(f"{place} {program.sha256}\n".encode())
        key = bytes.fromhex(program.sha256)
        if key in first_places:
            problems.append(f"{place} is the same program as {first_places[key]}")
        first_places[key] = place
        problems += [f"{place} {problem}" for problem in _program_problems(program, verifier, splitter, same_generator)]
        count += 1
        progress(1)
    if count != dataset.count():
        problems.append(f"there are {count} programs, and the manifest counts {dataset.count()}")
    if digest.hexdigest() != dataset.manifest["digest"]:
        problems.append("the dataset's digest is not the one in the manifest")
    refuse(dataset.folder, problems)
    remade = (
        "Each comes back byte for byte from its spec."
        if same_generator
        else f"They are of another generator version ({dataset.manifest['generator_version']}), so none was made again."
    )
    return [
        f"{count} programs pass the parser and the verifier.",
        "No two are the same, within a split or across splits.",
        "Each is in the split that its content decides.",
        remade,
    ]


def _program_problems(
    program: StoredProgram, verifier: Verifier, splitter: Splitter, same_generator: bool
) -> Iterator[str]:
    if hashlib.sha256(program.text.encode()).hexdigest() != program.sha256:
        yield "has another text than its sha256 says"
    try:
        verifier.verify(program.text)
    except Rejection as rejection:
        yield f"is not valid MLIR: {rejection.reason}"
    family = FAMILIES[program.family]
    spec = family.spec_from_json(orjson.loads(program.spec))
    if splitter.names[int(splitter(family.name, spec))] != program.split:
        yield "belongs to another split"
    if same_generator and family.program(spec) != program.text:
        yield "is not the program of its spec"
