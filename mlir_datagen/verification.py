"""Checking a finished dataset against all that it claims: files, parser, uniqueness, splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.config.compose import load_saved_config
from mlir_datagen.dataset.exported import check_exports
from mlir_datagen.dataset.finished import CONFIG, listed_files
from mlir_datagen.dataset.manifest import MANIFEST
from mlir_datagen.dataset.reader import Dataset, StoredProgram, changed_files
from mlir_datagen.dataset.writer import CHECKSUMS, dataset_digest
from mlir_datagen.decontamination import Decontamination
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.parse import Contexts, Verifier, function_types
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Spec
from mlir_datagen.program import NETWORK, parse_spec
from mlir_datagen.proving.batch import Progress
from mlir_datagen.proving.job import Failure
from mlir_datagen.sources.split import Splitter
from mlir_datagen.sources.suite_spec import SUITES
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
    exports = check_exports(folder, manifest["digest"])
    exported = {file for files in exports.values() for file in files}
    problems += [f"{file} does not belong to it" for file in sorted(present - known - exported)]
    refuse(folder, problems)
    besides = f" but the exports {', '.join(exports)}, which are whole" if exports else ""
    return f"{len(listed)} files are as SHA256SUMS and the manifest say, and there is no other{besides}."


def _check_programs(dataset: Dataset, progress: Progress) -> list[str]:
    config = load_saved_config(dataset.folder / CONFIG)
    checks = _ProgramChecks(dataset, config)
    problems = list(_different_config(dataset, config))
    for split, table in dataset.tables():
        rows = table.to_pylist()
        for row in rows:
            problems += [f"{split}/{row.get('name')} {problem}" for problem in checks.problems(split, row)]
        progress(len(rows))
    problems += checks.totals()
    refuse(dataset.folder, problems)
    remade = (
        "Each text, shape and cost comes back from its spec."
        if checks.same_generator
        else f"They are of another generator version ({dataset.manifest['generator_version']}), so none was made again."
    )
    return [
        f"{dataset.count()} programs pass the parser and the verifier.",
        "No two are the same, within a split or across splits.",
        "Each is in the split that its content decides, and none that was drawn computes what a suite here, or an "
        "extracted program, does.",
        remade,
    ]


def _different_config(dataset: Dataset, config: RunConfig) -> Iterator[str]:
    manifest = dataset.manifest
    for key, value in {"name": config.name, "seed": config.seed, "storage": config.storage}.items():
        if manifest[key] != value:
            yield f"{key} is {manifest[key]!r} in the manifest and {value!r} in {CONFIG}"
    if manifest["generator_version"] == GENERATOR_VERSION and manifest["fingerprint"] != config.fingerprint:
        yield f"its fingerprint is not that of {CONFIG}"


class _ProgramChecks:
    """What is checked of every row, and what adds up over them."""

    def __init__(self, dataset: Dataset, config: RunConfig) -> None:
        self.same_generator = dataset.manifest["generator_version"] == GENERATOR_VERSION
        self._dataset, self._config = dataset, config
        self._verifier, self._contexts = Verifier(), Contexts()
        self._splitter = Splitter(config.split_ratios)
        self._listed = dataset.checksums()
        self._first_places: dict[tuple[str, str], str] = {}
        self._counts: dict[str, Counter[str]] = {split: Counter() for split in dataset.splits}
        self._unseen = Decontamination()

    def problems(self, split: str, row: dict[str, Any]) -> Iterator[str]:
        """Say what is wrong with a row."""
        program = self._dataset.program(split, row)
        place = f"{split}/{program.name}"
        self._counts[split][program.family] += 1
        # A suite stays whole, whatever else is in the dataset.
        key = (split if split.startswith(f"{SUITES}.") else "", program.sha256)
        if key in self._first_places:
            yield f"is the same program as {self._first_places[key]}"
        self._first_places[key] = place
        if hashlib.sha256(program.text.encode()).hexdigest() != program.sha256:
            yield "has another text than its sha256 says"
        if self._config.storage != "parquet" and self._listed.get(row["file"]) != program.sha256:
            yield "has another text in its file than in the index"
        try:
            self._verifier.verify(program.text)
        except Rejection as rejection:
            yield f"is not valid MLIR: {rejection.reason}"
        else:
            yield from self._different_signature(program)
        if program.source == "random":
            outcome = self._unseen.judge(program.text)
            if isinstance(outcome, Failure):
                yield f"must not be there: {outcome.reason}"
            yield from self._random_problems(split, row, program)
        elif program.family != NETWORK:
            # Those splits come before the random ones.
            self._unseen.add(split, [program.text])

    def _different_signature(self, program: StoredProgram) -> Iterator[str]:
        """Compare the signature in the index with the function's."""
        types = function_types(program.text, self._contexts.next())
        for what, listed, found in zip(
            ("arguments", "results"), (program.arguments, program.results), types, strict=True
        ):
            if [(operand.dtype, operand.shape) for operand in listed] != found:
                yield f"has other {what} than its function"

    def _random_problems(self, split: str, row: dict[str, Any], program: StoredProgram) -> Iterator[str]:
        """Say what is wrong with a program that was drawn from a grid: all of it follows from its spec."""
        try:
            spec = parse_spec(program.family, program.spec)
        except UserError as error:
            yield f"has no usable spec: {error}"
            return
        family = FAMILIES[program.family]
        if self._splitter.names[int(self._splitter(family.name, spec))] != split:
            yield "belongs to another split"
        if self.same_generator:
            if family.program(spec) != program.text:
                yield "is not the program of its spec"
            yield from _different_columns(family, spec, row)

    def totals(self) -> Iterator[str]:
        """Say what does not add up."""
        manifest = self._dataset.manifest
        for split, counted in self._counts.items():
            if {family: number for family, number in manifest["counts"][split].items() if number} != dict(counted):
                yield f"{split} has {dict(counted)}, and the manifest counts {manifest['counts'][split]}"
        if dataset_digest(self._dataset.folder, self._dataset.splits) != manifest["digest"]:
            yield "the dataset's digest is not the one in the manifest"


def _different_columns(family: OpFamily, spec: Spec, row: dict[str, Any]) -> Iterator[str]:
    """Compare what the index says of a program with what follows from its spec."""
    expected = {
        "arguments": [operand.shape for operand in family.arguments(spec)],
        "results": [operand.shape for operand in family.results(spec)],
        "loops": [tuple(loop) for loop in family.loops(spec)],
        "flops": family.flops(spec),
        "bytes_moved": family.bytes_moved(spec),
        "dtype": spec.dtype,
    }
    found = {
        **row,
        "arguments": [tuple(operand["shape"]) for operand in row["arguments"]],
        "results": [tuple(operand["shape"]) for operand in row["results"]],
        "loops": [(loop["bound"], loop["iterator"]) for loop in row["loops"]],
    }
    for column, value in expected.items():
        if found[column] != value:
            yield f"has {column} {found[column]} where its spec gives {value}"
