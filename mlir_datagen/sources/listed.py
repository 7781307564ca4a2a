"""Splits whose programs are listed and not drawn: networks, what is taken out of them, and suites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from mlir_datagen.programs.program import EXTRACTED, NETWORK, NETWORKS_SPLIT, Program
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.extraction import extracted_programs
from mlir_datagen.sources.networks import Networks
from mlir_datagen.sources.settings import ExtractSettings, SuiteSpec
from mlir_datagen.sources.suites import digest, suite_programs

Write = Callable[[str, Iterable[Program | Rejected]], object]
"""Takes the programs of a split."""


def produce_listed_splits(
    networks: Networks,
    settings: ExtractSettings,
    suites: Sequence[SuiteSpec],
    excluded: Iterable[SuiteSpec],
    unseen: Decontamination,
    write: Write,
) -> None:
    """Make the programs of all listed splits, and tell what the random ones must not have.

    Args:
        networks: converts the networks of the run, and those of suites.
        settings: what is taken out of the networks of the run.
        suites: the suites that are written.
        excluded: those that are only kept out of the random splits.
        unseen: takes in extracted programs and suites.
        write: is given each split.

    Raises:
        UserError: when nothing can be extracted, or a suite is not what its digest says.
    """
    kept: list[Program] = []
    if networks.settings.models:
        write(NETWORKS_SPLIT, _kept(networks.produce(), kept))
    if settings.window is not None and kept:
        found = list(extracted_programs(kept, settings))
        unseen.add(EXTRACTED, (program.text for _, program in found))
        write(EXTRACTED, (program for _, program in found))
    for suite in suites:
        write(suite.split, _suite(suite, networks, unseen))
    for suite in excluded:
        if suite.name not in {written.name for written in suites}:
            _suite(suite, networks, unseen)


def _suite(suite: SuiteSpec, networks: Networks, unseen: Decontamination) -> list[Program]:
    """Return the programs of a suite, which the random splits must not have."""
    programs = suite_programs(suite, networks.suite)
    texts = (program.text for program in programs if program.family != NETWORK)
    unseen.add(suite.split, texts, version=suite.version, digest=digest(programs), size=len(programs))
    return programs


def _kept(outcomes: Iterable[Program | Rejected], kept: list[Program]) -> Iterator[Program | Rejected]:
    """Pass on what a source gives, and keep the programs among it."""
    for outcome in outcomes:
        if isinstance(outcome, Program):
            kept.append(outcome)
        yield outcome
