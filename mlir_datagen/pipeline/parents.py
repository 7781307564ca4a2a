"""The finished datasets that one is made of: found, whole, and what they have in common."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.config.licenses import DEFAULT_LICENSES
from mlir_datagen.config.merge import Parent
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.config.splits import check_split_names
from mlir_datagen.dataset.arrow import PARQUET_ERRORS
from mlir_datagen.dataset.description import CONFIG
from mlir_datagen.dataset.finished import changed_files, listed_files, miscounted_splits
from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.dataset.writer import dataset_digest
from mlir_datagen.errors import UserError, listed, said, shown
from mlir_datagen.ops.structured_operation import FORMS
from mlir_datagen.pipeline.exclusions import found_exclusion
from mlir_datagen.programs.forms import ALL_NAMED, Forms
from mlir_datagen.programs.program import EXTRACTED, NETWORKS_SPLIT
from mlir_datagen.programs.proof import LEVELS
from mlir_datagen.proving.settings import CheckSettings
from mlir_datagen.sources.settings import SUITES, Exclusion
from mlir_datagen.version import GENERATOR_VERSION

_UNCHECKED = CheckSettings("parse", 1.0)
_SUITE = re.compile(rf"{SUITES}\.[A-Za-z0-9_]{{1,128}}")


@dataclass(frozen=True)
class ParentDataset:
    """A dataset that is merged.

    Attributes:
        dataset: its folder.
        config: its config.
    """

    dataset: Dataset
    config: RunConfig

    @property
    def manifest(self) -> dict[str, Any]:
        """What it says of itself."""
        return self.dataset.manifest

    @property
    def name(self) -> str:
        """The name that its folder was given."""
        return f"{self.manifest['name']}-{self.manifest['fingerprint']}"

    @property
    def sizes(self) -> dict[str, int]:
        """How many programs its splits have."""
        return {split: sum(families.values()) for split, families in self.manifest["counts"].items()}

    @property
    def has_drawn(self) -> bool:
        """Whether it has drawn programs."""
        return any(map(is_drawn, self.sizes))

    @property
    def against(self) -> dict[str, dict[str, Any]]:
        """What its manifest says of the programs that its drawn splits do not have."""
        found: Any = self.manifest.get("decontamination", {})
        against = found.get("against") if isinstance(found, dict) else None
        return {home: of for home, of in against.items() if isinstance(of, dict)} if isinstance(against, dict) else {}


@dataclass(frozen=True)
class Parents:
    """The datasets that one is made of.

    Attributes:
        config: the config of the one, with all that follows from its parents but the sizes of the splits.
        datasets: they, in order.
        fresh: what some of them keep out of their drawn splits, and others may not.
    """

    config: RunConfig
    datasets: Sequence[ParentDataset]
    fresh: Sequence[Exclusion]

    @property
    def sizes(self) -> Counter[str]:
        """How many programs the splits of all of them have: those that are drawn come last, as in every dataset."""
        total: Counter[str] = Counter()
        for parent in self.datasets:
            total.update(parent.sizes)
        return Counter({split: total[split] for split in sorted(total, key=is_drawn)})

    def having(self, split: str) -> list[tuple[int, ParentDataset]]:
        """Return those that have a split, with their numbers, in the order in which its programs are taken from them.

        Of a suite, that is those first that have lost the fewest programs, so that it keeps its order.
        """
        having = [(number, one) for number, one in enumerate(self.datasets) if split in one.sizes]
        return sorted(having, key=lambda pair: -pair[1].sizes[split]) if _SUITE.fullmatch(split) else having


def found_parents(config: RunConfig) -> Parents:
    """Find the parents of a config, and what follows from them.

    Raises:
        UserError: when one is no dataset, not the one that the config names, damaged, or does not go with the others.
    """
    parents = [_found(parent) for parent in config.merge]
    for place, one in enumerate(parents):
        for other in parents[:place]:
            if _identity(one) == _identity(other):
                raise UserError(
                    f"{one.dataset.folder} and {other.dataset.folder} are the same dataset: one of them is a copy. "
                    "Name it once."
                )
    drawing = [one for one in parents if one.has_drawn]
    # Without drawn programs they decide nothing.
    ratios = [one.config.split_ratios for one in drawing or parents]
    agreed = ratios[0] if all(one == ratios[0] for one in ratios) else {}
    _require_none_or_same(config, "split_ratios", config.split_ratios, {}, agreed)
    asked = {form for one in drawing for form in one.config.forms.asked}
    forms = Forms(tuple(int(form in asked) for form in FORMS)) if asked else ALL_NAMED
    _require_none_or_same(config, "form", config.forms, ALL_NAMED, forms)
    check = _weakest_check(one.config.check for one in parents)
    _require_none_or_same(config, "check", config.check, _UNCHECKED, check)
    licenses = tuple(sorted({name for one in parents for name in one.config.license}))
    _require_none_or_same(config, "license", config.license, DEFAULT_LICENSES, licenses)
    exclude, fresh = _exclusions(config, drawing)
    entries = tuple(Parent(str(one.dataset.folder), *_identity(one)) for one in parents)
    follows: dict[str, Any] = {
        "split_ratios": agreed,
        "forms": forms,
        "check": check,
        "exclude": exclude,
        "license": licenses,
    }
    config = dataclasses.replace(config, merge=entries, **follows)
    found = Parents(config, parents, fresh)
    drawn = [split for split in found.sizes if is_drawn(split)]
    check_split_names(drawn, "One of the datasets", "Make them again with splits of other names.")
    _check_suites(parents)
    return found


def merged_settings(config: RunConfig, counts: Mapping[str, Mapping[str, int]]) -> tuple[RunConfig, DatasetSettings]:
    """Return the config of a merged dataset with the sizes of its splits, and what the dataset tells of it.

    Args:
        config: its config.
        counts: its programs by split and family.
    """
    drawn = {split: families for split, families in counts.items() if is_drawn(split)}
    config = dataclasses.replace(config, splits={split: sum(families.values()) for split, families in drawn.items()})
    families = sorted({family for by_family in drawn.values() for family, number in by_family.items() if number})
    settings = dataclasses.replace(
        config.dataset_settings, families=tuple(families), versions=None, parents=len(config.merge)
    )
    return config, settings


def _found(entry: Parent) -> ParentDataset:
    """Return a dataset that is whole, and is the one that is named."""
    try:
        folder = Path(entry.folder).expanduser().resolve()
        dataset = Dataset(folder)
    except (UserError, RuntimeError) as error:
        raise UserError(f"merge names {entry.folder}, which is not a finished dataset. {error}") from error
    manifest = dataset.manifest
    version = manifest["generator_version"]
    if version != GENERATOR_VERSION:
        raise UserError(
            f"{folder} was made by generator version {version}, and this is version {GENERATOR_VERSION}, which writes "
            "the same programs in other ways, so that equal ones would not be found. Make the dataset again from its "
            f"config, and merge that: python scripts/generate.py --config-dir {folder} --config-name config"
        )
    if problem := _problem(dataset):
        raise UserError(
            f"The dataset {folder} {problem}. Delete the folder and make it again; scripts/verify.py says more of it."
        )
    parent = ParentDataset(dataset, load_saved_config(folder / CONFIG))
    if entry.digest is not None and (entry.fingerprint, entry.digest) != _identity(parent):
        raise UserError(
            f"merge names the dataset {folder} with the digest {entry.digest}, and what is there has "
            f"{manifest['digest']} and the fingerprint {manifest['fingerprint']}: it is another one. Restore it, or "
            "name its folder alone ('merge=[…]') to make another dataset."
        )
    return parent


def _problem(dataset: Dataset) -> str | None:
    """Say why a dataset is not whole; None where it is, as far as its indexes and what describes it go."""
    folder, manifest = dataset.folder, dataset.manifest
    if damaged := [*changed_files(folder, listed_files(manifest)), *miscounted_splits(folder, manifest)]:
        return f"is damaged: {listed(damaged[:10])}"
    config = load_saved_config(folder / CONFIG)
    for key, own in {"fingerprint": config.fingerprint, "storage": config.storage}.items():
        if own != manifest[key]:
            return f"has another {key} than its {CONFIG}"
    for split in dataset.splits:
        if not is_drawn(split) and split not in (NETWORKS_SPLIT, EXTRACTED) and not _SUITE.fullmatch(split):
            return f"has a split {shown(split)}, which no dataset has"
    try:
        digest = dataset_digest(folder, dataset.indexes)
    except (*PARQUET_ERRORS, KeyError, UnicodeDecodeError) as error:
        return f"has an index that cannot be read ({said(error)})"
    return None if digest == manifest["digest"] else "has another digest than its manifest says"


def _identity(parent: ParentDataset) -> tuple[str, str]:
    return parent.manifest["fingerprint"], parent.manifest["digest"]


def _require_none_or_same(config: RunConfig, key: str, given: Any, default: Any, follows: Any) -> None:
    """Refuse a choice that was made of what follows from the parents; a saved config says what that is."""
    if given not in (default, follows):
        folders = listed(parent.folder for parent in config.merge)
        raise UserError(f"{key} cannot be chosen where datasets are merged: it follows from {folders}. Leave it out.")


def _weakest_check(checks: Iterable[CheckSettings]) -> CheckSettings:
    """Return how far the programs of all are checked at least."""
    each = list(checks)
    level = min((one.level for one in each), key=LEVELS.index)
    return _UNCHECKED if level == _UNCHECKED.level else CheckSettings(level, min(one.fraction for one in each))


def _exclusions(
    config: RunConfig, drawing: Sequence[ParentDataset]
) -> tuple[tuple[Exclusion, ...], Sequence[Exclusion]]:
    """Return all that any parent, or the config, keeps out; and what of it not every parent does."""
    every = {one.identity: one for parent in drawing for one in parent.config.exclude}
    kept_by_all = {
        identity
        for identity in every
        if all(identity in {one.identity for one in parent.config.exclude} for parent in drawing)
    }
    asked = {one.identity: one for one in config.exclude} | every
    fresh = []
    for exclusion in asked.values():
        if exclusion.identity not in kept_by_all:
            found = found_exclusion(exclusion)
            if found.identity not in kept_by_all:
                fresh.append(found)
    kept = {**{identity: every[identity] for identity in kept_by_all}, **{one.identity: one for one in fresh}}
    return tuple(sorted(kept.values(), key=lambda one: one.name)), fresh


def _check_suites(parents: Sequence[ParentDataset]) -> None:
    """Refuse a suite that is not the same one in all datasets that have it."""
    first: dict[str, tuple[ParentDataset, tuple[Any, Any]]] = {}
    for parent, split in _suites(parents):
        of = parent.against.get(split, {})
        known = of.get("version"), of.get("digest")
        other, before = first.setdefault(split, (parent, known))
        if before != known:
            raise UserError(
                f"{other.dataset.folder} and {parent.dataset.folder} have {split} in two versions, {before[0]} and "
                f"{known[0]}, or with other programs, and in one dataset it must be one suite. Leave one of them out, "
                "or make it again with the suite of the other."
            )


def _suites(parents: Sequence[ParentDataset]) -> Iterator[tuple[ParentDataset, str]]:
    return ((parent, split) for parent in parents for split in parent.sizes if _SUITE.fullmatch(split))
