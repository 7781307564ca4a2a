"""Programs taken out of networks: the same one once, with how often it occurs and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.extraction import ExtractedProgram, extract
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.mlir.signature import signature
from mlir_datagen.programs.batch import Batch
from mlir_datagen.programs.program import EXTRACTED, Program
from mlir_datagen.programs.proof import PARSED
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.sources.settings import ExtractSettings
from mlir_datagen.sources.source import Listed, ListedSource, Plan, Taken


@dataclass(frozen=True)
class ExtractionTask:
    """All networks that programs are taken out of at once, as each program is there once, and how."""

    networks: Sequence[Program]
    settings: ExtractSettings


class Extraction(ListedSource):
    """The source of what is taken out of the networks of a run, in one task.

    Args:
        networks: what became of the networks.
        settings: what is taken out.
    """

    def __init__(self, networks: Iterable[Program | Rejected], settings: ExtractSettings) -> None:
        self._task = ExtractionTask([one for one in networks if isinstance(one, Program)], settings)

    def plan(self, sizes: Mapping[str, int], taken: Taken | None = None) -> Plan[ExtractionTask]:
        """Plan to take programs out of the networks that were converted, if any are to be."""
        return Plan([] if self._task.settings.window is None else [self._task])

    @staticmethod
    def produce(task: ExtractionTask) -> Batch:
        """Take programs out of the networks; of none, nothing.

        Raises:
            UserError: as `extracted_programs`.
        """
        programs = extracted_programs(task.networks, task.settings)
        return Batch.listed(EXTRACTED, programs, kept_out={} if task.networks else None)

    def must_be(self, task: ExtractionTask, result: TaskResult) -> Listed:
        """Return what is known of what is taken out of networks."""
        return Listed(EXTRACTED, {} if task.networks else None)


@dataclass(frozen=True)
class _Found:
    """A program with the places where it was found."""

    program: ExtractedProgram
    network: Program
    places: list[dict[str, Any]]


def extracted_programs(networks: Sequence[Program], settings: ExtractSettings) -> Iterator[Program]:
    """Yield the distinct programs of some networks, in the order of their occurrence.

    Args:
        networks: converted networks.
        settings: what is taken out.

    Raises:
        UserError: when a network has no linalg operation, or fewer connected ones than the window; it names it.
    """
    assert settings.window is not None
    contexts = Contexts()
    found: dict[str, _Found] = {}
    for network in networks:
        try:
            cut = extract(network.text, contexts.next(), settings.window, settings.stride)
        except UserError as error:
            raise UserError(f"Nothing can be extracted from {network.name}: {error}") from error
        for program in cut:
            place = {"model": network.name, "operations": program.positions, "multiplicity": program.multiplicity}
            found.setdefault(program.structural_hash, _Found(program, network, [])).places.append(place)
    width = max(4, len(str(len(found))))
    for number, one in enumerate(found.values()):
        yield _program(one, f"{_family(one.program)}_{number:0{width}d}", settings)


def _program(found: _Found, name: str, settings: ExtractSettings) -> Program:
    cut, network = found.program, found.network
    spec = {"network": orjson.loads(network.spec), "window": settings.window, "operations": cut.positions}
    return Program(
        name=name,
        source=EXTRACTED,
        family=_family(cut),
        kind="op" if settings.window == 1 else "block",
        spec=orjson.dumps(spec).decode(),
        seed=network.seed,
        text=cut.text,
        arguments=signature("input", cut.arguments),
        results=signature("output", cut.results),
        outline=cut.outline,
        proof=PARSED,
        provenance=orjson.dumps(found.places).decode(),
        multiplicity=sum(place["multiplicity"] for place in found.places),
        command=f"{network.command} extract.window={settings.window} extract.stride={settings.stride}",
    )


def _family(program: ExtractedProgram) -> str:
    return program.main_operation.removeprefix("linalg.")
