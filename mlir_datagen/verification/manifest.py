"""What the manifest, the config and the card say: all of it but a few values follows from the config and the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.config import RunConfig
from mlir_datagen.config.splits import check_split_names
from mlir_datagen.config.suites import defined_suite
from mlir_datagen.dataset.card import CARD, dataset_card
from mlir_datagen.dataset.card_sections import with_pictures, with_times
from mlir_datagen.dataset.description import CONFIG, config_text
from mlir_datagen.dataset.diversity import diversity_of
from mlir_datagen.dataset.manifest import (
    MANIFEST,
    MEASUREMENTS_KEY,
    PRESENTATION_KEY,
    environment,
    funnel_part,
    run_stages,
)
from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.dataset.writer import dataset_digest
from mlir_datagen.errors import UserError, said, shown
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.programs.program import EXTRACTED, NETWORKS_SPLIT
from mlir_datagen.programs.proof import Failure
from mlir_datagen.programs.rejected import Rejected, rejected_program
from mlir_datagen.programs.spec import parse_spec, spec_json
from mlir_datagen.sources.quotas import quotas_part
from mlir_datagen.sources.suites import digest_of
from mlir_datagen.verification.drawn import Drawing
from mlir_datagen.verification.summary import Summary
from mlir_datagen.version import GENERATOR_VERSION, PACKAGE_VERSION, SCHEMA_VERSION

CHECKED_ELSEWHERE = frozenset({"files", "environment", MEASUREMENTS_KEY, PRESENTATION_KEY})
"""Keys of the manifest that are compared with other things than the config and the rows."""
_OPTIONAL = {"torchvision", "transformers"}
"""What a network may come without."""


def plain_problems(dataset: Dataset, config: RunConfig) -> Iterator[str]:
    """Say where the manifest contradicts the config at first sight: before any program is read."""
    manifest = dataset.manifest
    for key, value in {"name": config.name, "seed": config.seed, "storage": config.storage}.items():
        if manifest[key] != value:
            yield f"{key} is {shown(manifest[key])} in the manifest and {shown(value)} in {CONFIG}"
    version, fingerprint = manifest["generator_version"], manifest["fingerprint"]
    if version == GENERATOR_VERSION and fingerprint != config.fingerprint:
        yield f"its fingerprint is not that of {CONFIG}"
    # Another version may have written the config in another way, and so have hashed something else.
    if version != GENERATOR_VERSION and fingerprint == config.fingerprint:
        yield f"generator_version is {version}, and its fingerprint is of version {GENERATOR_VERSION}"
    if config.merge:
        # The splits are those of its parents.
        check_split_names([split for split in dataset.splits if is_drawn(split)], MANIFEST, "Merge its parents again.")
        return
    listed = {EXTRACTED} if config.extract.window is not None else set()
    listed |= {suite.split for suite in config.suites.values()} | ({NETWORKS_SPLIT} if config.models else set())
    for split in sorted(set(dataset.splits) ^ (set(config.splits) | listed)):
        # Where every network is lost, nothing is taken out of them.
        if split != EXTRACTED or split in dataset.splits:
            yield f"{CONFIG} {'has no' if split in dataset.splits else 'has a'} split {shown(split)}"
    for split, size in config.splits.items():
        if split in dataset.splits and (counted := sum(manifest["counts"][split].values())) != size:
            yield f"{split} has {counted} programs, and {CONFIG} asks for {size}"


def stated_part(
    dataset: Dataset,
    config: RunConfig,
    summary: Summary,
    families: Mapping[str, Iterable[str]],
    quotas: Mapping[str, Any],
    funnel: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what every manifest must say, of a dataset that was drawn or merged.

    Args:
        dataset: whose it is.
        config: that of the dataset.
        summary: what was seen in its rows.
        families: those that each drawn split counts, also where it has none of them.
        quotas: what it must say of what was asked for.
        funnel: what it must say of what became of the programs.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "fingerprint": config.fingerprint,
        "generator_version": GENERATOR_VERSION,
        "digest": dataset_digest(dataset.folder, dataset.indexes),
        "seed": config.seed,
        "storage": config.storage,
        # Version 0.9, of the same generator, named none.
        **({"license": list(config.license)} if card_is_ours(dataset) or "license" in dataset.manifest else {}),
        "counts": {
            split: {family: counted[family] for family in families.get(split, counted)}
            for split, counted in summary.families.items()
        },
        "quotas": quotas,
        "funnel": funnel,
        "check": {
            "level": config.check.level,
            "fraction": config.check.fraction,
            "checked_beyond_parsing": summary.checked,
            "matched": summary.matched,
        },
    }


def manifest_problems(
    dataset: Dataset, config: RunConfig, summary: Summary, rejected: Sequence[Rejected], drawing: Drawing
) -> Iterator[str]:
    """Say where the manifest is not what the config, the rows and the rejects make it."""
    yield from _rejected_problems(config, rejected, drawing)
    yield from _suite_problems(config, summary, rejected)
    manifest = dataset.manifest
    kept = sum(map(len, summary.names.values()))
    against = _against(config, summary, rejected, manifest.get("decontamination"))
    funnel = funnel_part(config.check, config.measure, kept + len(rejected), rejected)
    quotas = quotas_part(config.ops, drawing.quotas, rejected)
    expected = stated_part(dataset, config, summary, dict.fromkeys(config.splits, config.ops), quotas, funnel)
    if against:
        left_out = sum(one.stage == "unseen" for one in rejected)
        expected["decontamination"] = {"against": against, "left_out": left_out}
    for key, value in expected.items():
        yield from value_differences(key, manifest.get(key), value)
    # The files are compared with those that there are, the others have checks of their own.
    for key in sorted(set(manifest) - {*expected, *CHECKED_ELSEWHERE}):
        yield f"{MANIFEST} has {said(key)}, and nothing that it follows from"
    yield from environment_problems(manifest["environment"], with_networks=bool(config.models))


def sum_problems(dataset: Dataset, summary: Summary) -> Iterator[str]:
    """Say what does not add up, whichever version of the generator made it."""
    for split, counted in summary.families.items():
        claimed = {family: number for family, number in dataset.manifest["counts"][split].items() if number}
        if claimed != dict(counted):
            yield f"{split} has {shown(dict(counted))}, and the manifest counts {shown(claimed)}"
    if dataset_digest(dataset.folder, dataset.indexes) != dataset.manifest["digest"]:
        yield "the dataset's digest is not the one in the manifest"


def description_problems(dataset: Dataset, settings: DatasetSettings) -> Iterator[str]:
    """Say which of the files that describe a dataset are not as this version writes them."""
    against = dataset.manifest.get("decontamination", {}).get("against", {})
    texts = {CONFIG: config_text(settings)}
    if card_is_ours(dataset):
        manifest, diversity = dataset.manifest, diversity_of(dataset.folder, dataset.indexes)
        card = dataset_card(settings, manifest["counts"], against, manifest["quotas"], diversity)
        if MEASUREMENTS_KEY in manifest:
            card = with_times(card, manifest[MEASUREMENTS_KEY])
        texts[CARD] = with_pictures(card, manifest.get(PRESENTATION_KEY, {}).get("pictures", {}))
    for file, text in texts.items():
        try:
            if foreign.read_text(dataset.folder / file) != text:
                yield f"{file} is not the one that the config and the programs give"
        except (OSError, ValueError) as error:
            yield f"{file} cannot be read: {said(error)}"


def card_is_ours(dataset: Dataset) -> bool:
    """Tell whether this version of mlir_datagen wrote the card: others write other sentences of the same programs."""
    return bool(dataset.manifest["environment"].get("mlir_datagen") == PACKAGE_VERSION)


def value_differences(key: str, found: Any, expected: Any) -> Iterator[str]:
    """Compare two plain values, and name the innermost keys that differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for inner in sorted({*found, *expected}):
            yield from value_differences(f"{key}.{said(inner)}", found.get(inner), expected.get(inner))
    elif type(found) is not type(expected) or found != expected:
        yield f"{MANIFEST} has {key} {shown(found)} where {shown(expected)} follows"


def _rejected_problems(config: RunConfig, rejected: Sequence[Rejected], drawing: Drawing) -> Iterator[str]:
    """Say which rejects the run cannot have had; why they were rejected follows from nothing."""
    stages = run_stages(config.check, config.measure)
    drawn = dict.fromkeys(config.splits, 0)
    for one in rejected:
        place = f"a reject of {said(one.split)}"
        if one.stage not in stages:
            yield f"{place} failed at the stage {shown(one.stage)}, which this run does not have"
        if one.split not in drawn:
            continue
        drawn[one.split] += 1
        try:
            spec = parse_spec(one.family, one.spec)
        except UserError as error:
            yield f"{place} has no usable spec: {said(error)}"
            continue
        form = config.forms.of(config.seed, PROGRAM_FAMILIES[one.family], spec)
        if one != rejected_program(one.family, one.split, spec_json(spec), Failure(one.stage, one.reason), form):
            yield f"{place} has another command, or another name, than its spec gives: {said(one.command)}"
    for split, number in drawn.items():
        if number != drawing.lost[split]:
            yield f"{number} programs of {split} were rejected, and the config draws {drawing.lost[split]} of them"


def _against(config: RunConfig, summary: Summary, rejected: Sequence[Rejected], found: Any) -> dict[str, Any]:
    """Return what the manifest must say of the programs that the random splits must not have.

    What follows from nothing is taken from what it says: of what is excluded and not in the dataset.
    """
    claimed = found.get("against") if isinstance(found, dict) else None
    against: dict[str, dict[str, Any]] = {}
    for split in summary.names:
        if split in config.splits or split == NETWORKS_SPLIT:
            continue
        kept = len(summary.names[split])
        size = kept + sum(one.split == split for one in rejected)
        against[split] = {"programs": size, "kept": kept}
        if split != EXTRACTED:
            suite = next(suite for suite in config.suites.values() if suite.split == split)
            against[split] |= {"version": suite.version, "size": size, "digest": suite.digest}
            if suite.digest is None:
                against[split]["digest"] = digest_of(summary.names[split], summary.digests[split])
            if suite.is_of_networks:
                against[split]["programs"] = 0
    for exclusion in config.exclude:
        suite_there = defined_suite(exclusion.name) if exclusion.digest is None else None
        home = exclusion.name if suite_there is None else suite_there.split
        said_of_it = claimed.get(home) if isinstance(claimed, dict) else None
        counted = {key: said_of_it.get(key) for key in ("programs", "size")} if isinstance(said_of_it, dict) else {}
        counts = {key: count for key, count in counted.items() if isinstance(count, int) and count >= 0}
        if suite_there is None:
            against[home] = {"digest": exclusion.digest, "programs": counts.get("programs", 0)}
        elif home not in against:
            digest = {"version": suite_there.version, "digest": suite_there.digest}
            against[home] = {"programs": counts.get("programs", 0), "size": counts.get("size", 0), **digest}
    return against


def _suite_problems(config: RunConfig, summary: Summary, rejected: Sequence[Rejected]) -> Iterator[str]:
    """Say which suites are not those of their digests."""
    for suite in config.suites.values():
        here = defined_suite(suite.name)
        if here is not None and here.version == suite.version and suite.digest != here.digest:
            yield f"{suite.split} has another digest than its version {suite.version} in conf/suites/{suite.name}.yaml"
        if suite.split not in summary.names or any(one.split == suite.split for one in rejected):
            continue
        found = digest_of(summary.names[suite.split], summary.digests[suite.split])
        if suite.digest not in (None, found):
            yield f"{suite.split} has not the programs of its digest"


def environment_problems(found: Any, with_networks: bool) -> Iterator[str]:
    """Say which versions are missing or too many; which they are follows from nothing."""
    needed = set(environment(with_networks=False)) | ({"torch"} if with_networks else set())
    allowed = needed | (_OPTIONAL if with_networks else set())
    for key in sorted(needed - set(found)):
        yield f"{MANIFEST} has no version of {key} in its environment"
    for key in sorted(set(found) - allowed):
        yield f"{MANIFEST} has {said(key)} in its environment, which this dataset does not depend on"
    for key, value in found.items():
        if not isinstance(value, str) and not (key == "git_commit" and value is None):
            yield f"{MANIFEST} has {shown(value)} for the version of {said(key)} in its environment"
