"""What a dataset that was merged of others must be, as far as it tells without them.

Each drawn program, and each of a suite that lists specs, is made again from its spec and its own seed; of networks, and
of what was taken out of these, the columns that follow from the text are compared. What is counted must add up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from mlir_datagen.config import RunConfig
from mlir_datagen.config.suites import defined_suite
from mlir_datagen.dataset.manifest import MANIFEST, funnel_of
from mlir_datagen.dataset.paths import is_drawn, number_width
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError, said, shown
from mlir_datagen.mlir.outline import network_outline, program_outline
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.networks.model_spec import CONVERTERS
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.pipeline.choosing import STAGES
from mlir_datagen.programs.content import Splitter
from mlir_datagen.programs.program import EXTRACTED, NETWORK, NETWORKS_SPLIT, Program, StoredProgram, family_program
from mlir_datagen.programs.proof import LEVELS, PARSED
from mlir_datagen.programs.spec import parse_spec
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.sameness import compared, sameness_of_any
from mlir_datagen.sources.settings import SUITES
from mlir_datagen.sources.suites import SOURCE, digest_of
from mlir_datagen.verification.listed import named, row_beside_text
from mlir_datagen.verification.manifest import CHECKED_ELSEWHERE, environment_problems, stated_part, value_differences
from mlir_datagen.verification.one_row import Meets, Repeated, differences, proof_problems
from mlir_datagen.verification.summary import Summary
from mlir_datagen.version import GENERATOR_VERSION

Row = dict[str, Any]

_COUNTS = ("programs", "duplicates", "unseen", "kept")
_PARENT = ("dataset", "fingerprint", "digest", "generator_version", *_COUNTS)


class Merged:
    """Knows what the programs of a merged dataset must be.

    Args:
        dataset: the dataset.
        config: its config.
    """

    def __init__(self, dataset: Dataset, config: RunConfig) -> None:
        self._config, self._counts = config, dataset.manifest["counts"]
        drawn = {family for split, counts in self._counts.items() if is_drawn(split) for family in counts}
        self._sameness = sameness_of_any(drawn, config.forms)
        self._hasher = ProgramHasher()
        self._splitter = Splitter(config.split_ratios) if config.split_ratios else None
        self._contexts = Contexts()

    def questions(self, program: StoredProgram) -> Iterator[Repeated | Meets]:
        """Yield what only the whole dataset tells of a drawn program.

        Raises:
            UserError: when it has no usable spec.
        """
        if self._sameness is not None:
            family = PROGRAM_FAMILIES[program.family]
            spec = parse_spec(program.family, program.spec)
            text = compared(family, spec, program.text)
            key = self._sameness.key(program.family, len(family.graph(spec).nodes), text, self._hasher)
            yield Repeated("computes the same as", "computed", key)
        yield Meets(self._hasher.hashes(program.text))

    def problems(self, split: str, index: int, program: StoredProgram, row: Row) -> Iterator[str]:
        """Say what is wrong with a program whose text is valid.

        Raises:
            UserError: when it cannot be one of such a split.
        """
        level = row["check"]
        if level not in LEVELS:
            yield f"has check {shown(level)}, which is no level"
            return
        if is_drawn(split):
            made = self._drawn(split, index, program, row)
            least = self._config.check
            if least.fraction == 1 and LEVELS.index(level) < LEVELS.index(least.level):
                yield f"has check {level}, and all were checked at least as far as {least.level}"
        else:
            made = self._listed(split, index, program, row)
        if made.text != program.text:
            yield "is not the program of its spec"
        expected = {**row_beside_text(split, made, level), "name": made.name}
        yield from differences(expected, row)
        is_network = made.source == NETWORK
        yield from proof_problems(row, made.source in (RandomOps.name, SOURCE, NETWORK), is_network)

    def _drawn(self, split: str, index: int, program: StoredProgram, row: Row) -> Program:
        spec = parse_spec(program.family, program.spec)
        if self._splitter is not None and self._splitter.names[int(self._splitter(program.family, spec))] != split:
            raise UserError("it belongs to another split")
        family, seed = PROGRAM_FAMILIES[program.family], row["seed"]
        name = f"{program.family}_{index:0{self._width(split)}d}"
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f"it has the seed {shown(seed)}")
        made = [family_program(name, RandomOps.name, family, spec, seed, form) for form in self._config.forms.asked]
        return next((one for one in made if one.text == program.text), made[0])

    def _width(self, split: str) -> int:
        return number_width(sum(self._counts[split].values()))

    def _listed(self, split: str, index: int, program: StoredProgram, row: Row) -> Program:
        if program.source == SOURCE and split.startswith(f"{SUITES}."):
            spec = parse_spec(program.family, program.spec)
            provenance = orjson.dumps({"suite": split.partition(".")[2]}).decode()
            family = PROGRAM_FAMILIES[program.family]
            return family_program(program.name, SOURCE, family, spec, 0, provenance=provenance)
        is_network = program.family == NETWORK
        if split != (NETWORKS_SPLIT if is_network else EXTRACTED) and not split.startswith(f"{SUITES}."):
            raise UserError(f"it is of the family {shown(program.family)}")
        return self._network(program, row) if is_network else self._extracted(split, index, program, row)

    def _network(self, program: StoredProgram, row: Row) -> Program:
        if row["kind"] not in CONVERTERS:
            raise UserError(f"it was made by {shown(row['kind'])}, which is no converter")
        return Program(
            **_taken(program, row),
            source=NETWORK,
            family=NETWORK,
            kind=row["kind"],
            arguments=program.arguments,
            results=named(program.results, "output", "output"),
            outline=network_outline(program.text, self._contexts.next()),
        )

    def _extracted(self, split: str, index: int, program: StoredProgram, row: Row) -> Program:
        outline = program_outline(program.text, self._contexts.next())
        assert outline.main is not None
        family = outline.nodes[outline.main].op
        expected = f"{family}_{index:0{self._width(split)}d}" if split == EXTRACTED else program.name
        if not re.fullmatch(re.escape(family) + r"_\d{4,}", program.name):
            raise UserError(f"its name is not {family} with a number")
        if row["kind"] not in ("op", "block"):
            raise UserError(f"it has the kind {shown(row['kind'])}")
        return Program(
            **{**_taken(program, row), "name": expected},
            source=EXTRACTED,
            family=family,
            kind=row["kind"],
            arguments=named(program.arguments, "input", "arg"),
            results=named(program.results, "output", "result"),
            outline=outline,
            multiplicity=_multiplicity(row["provenance"]),
        )


def _taken(program: StoredProgram, row: Row) -> dict[str, Any]:
    """Return what of a program follows from nothing in the dataset."""
    own = {"name": program.name, "spec": program.spec, "text": program.text}
    return {**own, "seed": row["seed"], "provenance": row["provenance"], "proof": PARSED}


def _multiplicity(provenance: Any) -> int:
    try:
        return sum(int(place["multiplicity"]) for place in orjson.loads(provenance))
    except (ValueError, TypeError, KeyError) as error:
        raise UserError("its provenance is none") from error


def merged_problems(dataset: Dataset, config: RunConfig, summary: Summary) -> Iterator[str]:
    """Say where the manifest of a merged dataset is not what the config and the rows make it, or does not add up."""
    manifest = dataset.manifest
    parents: Any = manifest.get("parents")
    if not _are_parents(parents):
        yield f"{MANIFEST} has no parents, or they are not of their form"
        return
    told = [(one["fingerprint"], one["digest"]) for one in parents]
    if told != [(parent.fingerprint, parent.digest) for parent in config.merge]:
        yield f"{MANIFEST} has other parents than the config"
    for one in parents:
        if one["kept"] + one["duplicates"] + one["unseen"] != one["programs"]:
            yield f"{MANIFEST} counts other programs of {said(one['dataset'])} than became of them"
    kept, total = sum(map(len, summary.names.values())), {key: sum(one[key] for one in parents) for key in _COUNTS}
    if total["kept"] != kept:
        yield f"{MANIFEST} has {total['kept']} programs of its parents, and there are {kept}"
    drawn = [split for split in summary.families if is_drawn(split)]
    families = {family for split in drawn for family in summary.families[split]}
    dropped = {"unique": total["duplicates"], "unseen": total["unseen"]}
    funnel = funnel_of(STAGES, total["programs"], dropped)
    expected = stated_part(dataset, config, summary, dict.fromkeys(drawn, families), {}, funnel)
    against = _against(config, summary, manifest.get("decontamination"))
    if against:
        expected["decontamination"] = {"against": against, "left_out": total["unseen"]}
    for key, value in expected.items():
        yield from value_differences(key, manifest.get(key), value)
    for key in sorted(set(manifest) - {*expected, "parents", *CHECKED_ELSEWHERE}):
        yield f"{MANIFEST} has {said(key)}, and nothing that it follows from"
    yield from environment_problems(manifest["environment"], with_networks=False)


def _are_parents(parents: Any) -> bool:
    return isinstance(parents, list) and all(
        isinstance(one, dict)
        and tuple(one) == _PARENT
        and isinstance(one["dataset"], str)
        and one["generator_version"] == GENERATOR_VERSION
        and all(type(one[key]) is int and one[key] >= 0 for key in _COUNTS)
        for one in parents
    )


def _against(config: RunConfig, summary: Summary, found: Any) -> dict[str, Any]:
    """Return what the manifest must say of the programs that the drawn splits must not have.

    What follows from nothing is taken from what it says: the versions of suites, the digests of those that are not
    complete, and of what is excluded how many programs that has.
    """
    claimed = found.get("against") if isinstance(found, dict) else None
    claimed = claimed if isinstance(claimed, dict) else {}
    against: dict[str, Any] = {}
    for exclusion in config.exclude:
        suite = defined_suite(exclusion.name) if exclusion.digest is None else None
        home = exclusion.name if suite is None else suite.split
        if home not in summary.names:
            described = {"digest": exclusion.digest} if suite is None else {}
            against[home] = {**_said_of(claimed, home), **described}
    for split, names in summary.names.items():
        if is_drawn(split) or split == NETWORKS_SPLIT:
            continue
        said_of_it = _said_of(claimed, split)
        against[split] = {"programs": len(names) - summary.families[split][NETWORK], "kept": len(names)}
        if split != EXTRACTED:
            size = max(said_of_it.get("size", 0), len(names))
            digest = said_of_it.get("digest")
            if size == len(names) and digest not in (found := _suite_digests(split, names, summary.digests[split])):
                digest = found[0]
            against[split] |= {"version": said_of_it.get("version"), "size": size, "digest": digest}
    return against


def _suite_digests(split: str, names: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Return the digests that a whole suite may have: of the order that it has, and of its list's, or its numbers.

    Where every parent had lost some of its programs, what one has and the other lacks is behind the others.
    """
    defined = defined_suite(split.partition(".")[2])
    place = {name: number for number, name in enumerate(defined.programs if defined is not None else ())}
    orders: list[Callable[[tuple[str, str]], Any]] = [
        lambda pair: 0,
        lambda pair: place.get(pair[0], -1),
        lambda pair: pair[0].rpartition("_")[2].zfill(12),
    ]
    pairs = list(zip(names, digests, strict=True))
    return [digest_of(*zip(*sorted(pairs, key=order), strict=True)) for order in orders]


def _said_of(claimed: dict[str, Any], home: str) -> dict[str, Any]:
    """Return what is said of a suite or a dataset, as far as it is of its form."""
    said_of_it = claimed.get(home)
    pairs = said_of_it.items() if isinstance(said_of_it, dict) else ()
    numbers = {key: value for key, value in pairs if key in ("version", "size", "programs") and type(value) is int}
    digests = {key: value for key, value in pairs if key == "digest" and (value is None or isinstance(value, str))}
    return {**numbers, **digests}


def suite_problems(summary: Summary, manifest: dict[str, Any]) -> Iterator[str]:
    """Say which suites are not those of their versions in `conf/suites/`."""
    for split in summary.names:
        here = defined_suite(split.partition(".")[2]) if split.startswith(f"{SUITES}.") else None
        of = manifest.get("decontamination", {}).get("against", {}).get(split, {})
        if here is not None and here.version == of.get("version") and here.digest != of.get("digest"):
            yield f"{split} has another digest than its version {here.version} in conf/suites/{here.name}.yaml"
