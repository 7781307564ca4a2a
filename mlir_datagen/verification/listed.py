"""What the programs that were listed must be: networks, what was taken out of them, and suites.

A suite of specs, and what was taken out of networks that are in the dataset, can be made again. The text of a network
cannot, without the network: there, as in suites of networks, what follows from the text is compared.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.columns import program_row
from mlir_datagen.errors import UserError, listed, shown
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.outline import network_outline, program_outline
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.networks.fallback import FIRST, SECOND
from mlir_datagen.networks.model_spec import AUTO, CONVERTERS, ConverterSettings, ModelSpec
from mlir_datagen.programs.program import EXTRACTED, NETWORK, NETWORKS_SPLIT, Program, StoredProgram
from mlir_datagen.programs.proof import PARSED
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.batch import check_level
from mlir_datagen.sources.extraction import extracted_programs
from mlir_datagen.sources.networks import network_spec
from mlir_datagen.sources.settings import ExtractSettings, SuiteSpec
from mlir_datagen.sources.suites import listed_programs

Row = dict[str, Any]

_PROVEN = ("check", "proven", "error", "absolute_error", "excused", "unshown")
"""Columns that proving fills, after a program is made."""


@dataclass(frozen=True)
class _Origin:
    """Where the networks of a split come from: which ones, how they were converted, and what was taken out."""

    models: Mapping[str, ModelSpec]
    converter: ConverterSettings
    extract: ExtractSettings


class Listing:
    """Knows what the programs of the listed splits must be.

    Args:
        config: the run's config.
        rejected: what the run rejected.
    """

    def __init__(self, config: RunConfig, rejected: Sequence[Rejected]) -> None:
        self._config = config
        self._contexts = Contexts()
        self._rejected = {(one.split, one.name) for one in rejected}
        self._lost_networks = any(one.split == NETWORKS_SPLIT for one in rejected)
        self._networks: list[Program] = []
        self._made: dict[str, dict[str, Row] | None] = {}

    def names(self, split: str) -> list[str] | None:
        """Return the names of a split's programs, in order; None where they do not follow from anything."""
        made = self._rows(split)
        if made is not None:
            return list(made)
        origin = self._origin(split)
        if origin.extract.window is not None:
            return None
        return [name for name in origin.models if (split, name) not in self._rejected]

    def expected(self, split: str, program: StoredProgram, row: Row) -> Row:
        """Return the columns of a program of a listed split that follow from anything.

        Raises:
            UserError: when its text is not one that can be in such a split.
        """
        made = self._rows(split)
        if made is not None:
            if program.name not in made:
                raise UserError("no such program is made")
            return {**made[program.name], "check": self._level(split, program)}
        origin = self._origin(split)
        if origin.extract.window is None:
            found = self._network(split, origin, program, row["kind"])
        else:
            found = self._extracted(origin, program, row)
        return row_beside_text(split, found, self._level(split, program))

    def _origin(self, split: str) -> _Origin:
        config = self._config
        if split in (NETWORKS_SPLIT, EXTRACTED):
            nothing = ExtractSettings(None, 1)
            return _Origin(config.models, config.converter, config.extract if split == EXTRACTED else nothing)
        suite = self._suite(split)
        converter = dataclasses.replace(
            config.converter, kind=suite.converter or config.converter.kind, weights="arguments"
        )
        return _Origin({model.name: model for model in suite.models}, converter, suite.extract)

    def _suite(self, split: str) -> SuiteSpec:
        return next(suite for suite in self._config.suites.values() if suite.split == split)

    def _rows(self, split: str) -> dict[str, Row] | None:
        """Return the rows of a split that can be made again, less those rejected, by name; None where they cannot."""
        if split not in self._made:
            programs = self._programs(split)
            self._made[split] = None
            if programs is not None:
                kept = [one for one in programs if (split, one.name) not in self._rejected]
                self._made[split] = {one.name: _row(split, one, _PROVEN) for one in kept}
        return self._made[split]

    def _programs(self, split: str) -> list[Program] | None:
        if split == NETWORKS_SPLIT:
            return None
        if split == EXTRACTED:
            # Of a network that was lost late, programs may have been taken before.
            if self._lost_networks and self._config.needs_workers:
                return None
            return list(extracted_programs(self._networks, self._config.extract))
        suite = self._suite(split)
        return listed_programs(suite) if suite.programs else None

    def _level(self, split: str, program: StoredProgram) -> str:
        config = self._config
        if program.family != NETWORK:
            return check_level(config.check, config.seed, program.sha256)
        if split == NETWORKS_SPLIT:
            return config.check.level
        # A suite has a network from the run where it is the same.
        origin, own = self._origin(split), config.models.get(program.name)
        is_own = own == origin.models[program.name] and origin.converter == config.converter
        return config.check.level if is_own else "parse"

    def _network(self, split: str, origin: _Origin, program: StoredProgram, kind: str) -> Program:
        model = origin.models.get(program.name)
        if model is None:
            raise UserError("the config has no such network")
        made = Program(
            name=program.name,
            source=NETWORK,
            family=NETWORK,
            kind=_used(origin.converter, kind),
            spec=_network_spec(model, origin.converter, kind),
            seed=self._config.seed,
            text=program.text,
            arguments=_network_arguments(model, program.arguments),
            results=named(program.results, "output", "output"),
            outline=network_outline(program.text, self._contexts.next()),
            proof=PARSED,
            provenance=orjson.dumps({"model": model.name, "class": model.class_path}).decode(),
        )
        if split == NETWORKS_SPLIT:
            self._networks.append(made)
        return made

    def _extracted(self, origin: _Origin, program: StoredProgram, row: Row) -> Program:
        outline = program_outline(program.text, self._contexts.next())
        assert outline.main is not None
        family = outline.nodes[outline.main].op
        if not re.fullmatch(re.escape(family) + r"_\d{4,}", program.name):
            raise UserError(f"its name is not {family} with a number")
        places = orjson.loads(row["provenance"] or "null")
        return Program(
            name=program.name,
            source=EXTRACTED,
            family=family,
            kind="op" if origin.extract.window == 1 else "block",
            spec=orjson.dumps(_extracted_spec(origin, places, row["spec"])).decode(),
            seed=self._config.seed,
            text=program.text,
            arguments=named(program.arguments, "input", "arg"),
            results=named(program.results, "output", "result"),
            outline=outline,
            proof=PARSED,
            provenance=row["provenance"],
            multiplicity=sum(_multiplicities(places, origin)),
        )


def row_beside_text(split: str, program: Program, level: str) -> Row:
    """Return the columns of a program that follow from its spec or text: not the text itself, and nothing proven.

    Args:
        split: its split.
        program: the program.
        level: how far it must have been checked.

    Raises:
        UserError: when its signature has an element type that there is not.
    """
    if any(one.dtype not in ELEMENT_TYPES for one in (*program.arguments, *program.results)):
        raise UserError("it has an argument or a result of an element type that there is not")
    return {**_row(split, program, (*_PROVEN, "split", "sha256", "mlir")), "check": level}


def _row(split: str, program: Program, left_out: Sequence[str]) -> Row:
    return {column: value for column, value in program_row(split, program).items() if column not in left_out}


def _multiplicities(places: Any, origin: _Origin) -> Iterator[int]:
    """Yield how often each network has a program, as its provenance says.

    Raises:
        UserError: when it is not of its form.
    """
    keys = {"model", "operations", "multiplicity"}
    for place in places if isinstance(places, list) and places else [None]:
        if not isinstance(place, dict) or set(place) != keys or place["model"] not in origin.models:
            raise UserError("its provenance is none")
        positions, times = place["operations"], place["multiplicity"]
        if not _are_positions(positions, origin.extract.window) or not isinstance(times, int) or times < 1:
            raise UserError("its provenance is none")
        yield times


def _are_positions(positions: Any, window: int | None) -> bool:
    is_list = isinstance(positions, list) and len(positions) == window
    return is_list and all(isinstance(one, int) and one >= 0 for one in positions)


def _used(converter: ConverterSettings, said: str) -> str:
    """Return which converter made a network; where the config leaves that open, it is the one that is said to have.

    Raises:
        UserError: when there is no such converter.
    """
    if converter.kind != AUTO:
        return converter.kind
    if said not in CONVERTERS:
        raise UserError(f"it was made by {shown(said)}, and the converters are {listed(CONVERTERS)}")
    return said


def _network_spec(model: ModelSpec, converter: ConverterSettings, said: str) -> str:
    used = dataclasses.replace(converter, kind=_used(converter, said))
    return network_spec(model, used, FIRST if converter.kind == AUTO and used.kind == SECOND else None)


def _extracted_spec(origin: _Origin, places: Any, said: str) -> dict[str, Any]:
    """Return the spec of an extracted program: of the first place in its provenance.

    Raises:
        UserError: when it is not of its form.
    """
    list(_multiplicities(places, origin))
    first = places[0]
    try:
        kind = orjson.loads(said)["network"]["converter"]["kind"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError("its spec is none") from error
    network = orjson.loads(_network_spec(origin.models[first["model"]], origin.converter, kind))
    return {"network": network, "window": origin.extract.window, "operations": first["operations"]}


def _network_arguments(model: ModelSpec, arguments: Sequence[Argument]) -> tuple[Argument, ...]:
    """Return the arguments of a network: inputs as the config has them, then parameters, then buffers.

    The names of parameters and buffers are taken as they are.
    """
    order = {"input": 0, "parameter": 1, "buffer": 2}
    inputs = {input_.name: (input_.dtype, model.shape(input_)) for input_ in model.inputs}
    roles = [order.get(one.role, -1) for one in arguments]
    given = [one for one in arguments if one.role == "input"]
    names = [one.name for one in arguments]
    if -1 in roles or roles != sorted(roles) or len(set(names)) < len(names):
        raise UserError("its arguments are not inputs, parameters and buffers, in this order, each once")
    if any(inputs.get(one.name) != (one.dtype, one.shape) for one in given):
        raise UserError("its inputs are not those of the config")
    return tuple(arguments)


def named(operands: Sequence[Argument], role: str, name: str) -> tuple[Argument, ...]:
    """Return operands with a role, and with names that are numbered."""
    return tuple(one._replace(role=role, name=f"{name}{index}") for index, one in enumerate(operands))
