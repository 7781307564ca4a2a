"""The resolved config of a run: plain values checked into typed ones, and back.

OmegaConf stops at this file's door (`compose.py` hands over plain dictionaries), so a saved config that comes from a
stranger is only data here: nothing it names is imported or called.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlir_datagen.config.executor import ExecutorSettings, parse_executor
from mlir_datagen.config.export import DEFAULT_MIN_NS, ExportSettings, parse_export
from mlir_datagen.config.form import parse_form, saved_form
from mlir_datagen.config.licenses import DEFAULT_LICENSES, parse_license, saved_license
from mlir_datagen.config.merge import Parent, parse_merge, refuse_beside_merge
from mlir_datagen.config.models import parse_converter, parse_models, parse_trust
from mlir_datagen.config.ops import parse_ops
from mlir_datagen.config.proving import parse_check, parse_measure, parse_sandbox
from mlir_datagen.config.splits import CONSUMERS, parse_splits, scaled
from mlir_datagen.config.strata import parse_strata, saved_strata
from mlir_datagen.config.suites import parse_exclude, parse_extract, parse_suites
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.errors import UserError, listed, said, shown
from mlir_datagen.networks.fallback import how_converted
from mlir_datagen.networks.model_spec import ConverterSettings, ModelSpec
from mlir_datagen.programs.forms import ALL_NAMED, Forms
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits
from mlir_datagen.sources.settings import (
    DrawnSettings,
    Exclusion,
    ExtractSettings,
    OpSettings,
    RandomSettings,
    SuiteSpec,
)
from mlir_datagen.sources.strata import WHOLE, Strata
from mlir_datagen.sources.walk import Limits
from mlir_datagen.values import check_keys, choice, mapping, whole_number
from mlir_datagen.version import GENERATOR_VERSION, SCHEMA_VERSION, check_schema_version

STORAGES = ("both", "files", "parquet")
PROGRAMS_PER_FILE = 100_000
"""How many programs one file of Parquet has, where a config does not say that."""
EXHAUSTION_POLICIES = ("redistribute", "error")
RUN_ONLY: dict[str, Any] = {"output_dir": "outputs", "dry_run": False, "trust": [], "export": {"consumer": None}}
"""Settings that do not change a dataset, and the value that a saved config has for them."""

_REQUIRED = (
    "schema_version",
    "name",
    "seed",
    "limits",
    "converter",
    "check",
    "measure",
    "sandbox",
    "on_exhausted",
    "storage",
    "save_weights",
    "output_dir",
    "dry_run",
    "trust",
    "export",
    "extract",
    "exclude",
)
_OPTIONAL = (
    "num_samples",
    "splits",
    "split_ratios",
    "ops",
    "models",
    "suites",
    "form",
    "strata",
    "executor",
    "programs_per_file",
    "shard",
    "merge",
    "license",
    "report",
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class RunConfig:
    """All that a run may choose.

    `splits` and `split_ratios` are in canonical order, `ops` in the table's. A split may have a ratio and no size.
    A shard is the number of one, from 1 on, and of how many. Where finished datasets are merged, the sizes follow from
    these, and there are no ratios where theirs differ; and the licences are those of all of them.
    """

    name: str
    seed: int
    splits: dict[str, int]
    split_ratios: dict[str, int]
    ops: dict[str, OpSettings | DrawnSettings]
    models: dict[str, ModelSpec]
    extract: ExtractSettings
    suites: dict[str, SuiteSpec]
    exclude: tuple[Exclusion, ...]
    limits: Limits
    forms: Forms
    strata: Strata
    converter: ConverterSettings
    check: CheckSettings
    measure: MeasureSettings
    sandbox: SandboxLimits
    on_exhausted: str
    storage: str
    programs_per_file: int
    save_weights: bool
    output_dir: Path
    dry_run: bool
    trust: tuple[str, ...]
    export: ExportSettings | None
    executor: ExecutorSettings
    shard: tuple[int, int] | None = None
    merge: tuple[Parent, ...] = ()
    license: tuple[str, ...] = DEFAULT_LICENSES
    report: bool = True

    @property
    def needs_workers(self) -> bool:
        """Whether programs are lowered, run or measured, which worker processes do."""
        return self.check.level != "parse" or self.measure.enabled

    @property
    def random_settings(self) -> RandomSettings:
        """What the source of random programs is handed."""
        return RandomSettings(
            ops=self.ops,
            split_ratios=self.split_ratios,
            seed=self.seed,
            limits=self._grid_limits(),
            forms=self.forms,
            strata=self.strata,
            on_exhausted=self.on_exhausted,
            is_slow=self.needs_workers,
        )

    def _grid_limits(self) -> Limits:
        """Return the limits on the grids: those asked for, and what keeps times within `measure.max_seconds`."""
        longest = self.measure.largest_cost
        if longest is None:
            return self.limits
        most_bytes, most_flops = (
            longest if bound is None else min(bound, longest)
            for bound in (self.limits.max_bytes, self.limits.max_flops)
        )
        return Limits(most_bytes, most_flops, self.limits.min_flops)

    @property
    def dataset_settings(self) -> DatasetSettings:
        """What the dataset tells of the run."""
        return DatasetSettings(
            name=self.name,
            fingerprint=self.fingerprint,
            saved=self.to_saved(),
            seed=self.seed,
            storage=self.storage,
            programs_per_file=self.programs_per_file,
            splits=tuple(self.splits),
            families=tuple(self.ops),
            forms=self.forms.asked,
            versions=self.random_settings.versions,
            networks=tuple(self.models),
            converted=how_converted(self.converter),
            with_weights=self.save_weights,
            licenses=self.license,
            check=self.check,
            measure=self.measure,
        )

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that name the dataset: a hash of what decides its bytes."""
        identity = {
            **self.to_saved(),
            "exclude": sorted(exclusion.identity for exclusion in self.exclude),
            **({} if self.license == DEFAULT_LICENSES else {"license": saved_license(self.license)}),
            **({"merge": [parent.identity for parent in self.merge]} if self.merge else {}),
            "generator_version": GENERATOR_VERSION,
        }
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def dataset_name(self) -> str:
        """The name of the dataset's folder."""
        return self.dataset_settings.dataset_name

    def to_saved(self) -> dict[str, Any]:
        """Return the config as it is saved: the same for equal datasets, however they were asked for.

        The sizes of the splits are given by `num_samples` and `split_ratios` alone where that is possible, so that a
        saved config can be run again with another `num_samples`.
        """
        total = sum(self.splits.values())
        derived = self.splits == scaled(total, self.split_ratios)
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "seed": self.seed,
            "num_samples": total if derived and self.ops else None,
            "splits": None if derived or not self.ops else dict(self.splits),
            "split_ratios": dict(self.split_ratios) or None,
            "ops": {name: op.to_saved() for name, op in self.ops.items()},
            "models": {name: model.to_saved() for name, model in self.models.items()},
            "extract": dataclasses.asdict(self.extract),
            "suites": {name: suite.to_saved() for name, suite in self.suites.items()},
            "exclude": [exclusion.to_saved() for exclusion in self.exclude],
            "converter": dataclasses.asdict(self.converter),
            # What came later is there only where it is used, so that other datasets keep their fingerprints.
            "limits": {key: bound for key, bound in self.limits._asdict().items() if bound or key != "min_flops"},
            **({} if self.forms == ALL_NAMED else {"form": saved_form(self.forms)}),
            **({} if self.strata == WHOLE else {"strata": saved_strata(self.strata)}),
            **({} if self.programs_per_file == PROGRAMS_PER_FILE else {"programs_per_file": self.programs_per_file}),
            **({} if self.license == DEFAULT_LICENSES else {"license": saved_license(self.license)}),
            **({"merge": [parent.to_saved() for parent in self.merge]} if self.merge else {}),
            "check": dataclasses.asdict(self.check),
            "measure": dataclasses.asdict(self.measure),
            "sandbox": dataclasses.asdict(self.sandbox),
            "on_exhausted": self.on_exhausted,
            "storage": self.storage,
            "save_weights": self.save_weights,
            **RUN_ONLY,
        }


def parse_config(raw: Mapping[str, Any]) -> RunConfig:
    """Check a resolved config, given as plain values.

    Raises:
        UserError: when a value is not one that is allowed.
    """
    check_schema_version(raw.get("schema_version"))
    check_keys(raw, (*_REQUIRED, *_OPTIONAL), "the config")
    missing = [key for key in _REQUIRED if key not in raw]
    if missing:
        raise UserError(f"The config lacks {listed(missing)}. Compare it with conf/generate.yaml, which has every key.")
    models = parse_models(mapping(raw.get("models") or {}, "models"))
    suites = parse_suites(mapping(raw.get("suites") or {}, "suites"))
    merge = parse_merge(raw.get("merge"))
    ops = parse_ops(mapping(raw.get("ops") or {}, "ops"), required=not (models or suites or merge))
    splits, ratios = parse_splits(raw.get("num_samples"), raw.get("splits"), raw.get("split_ratios"))
    if not ops:
        for key in ("num_samples", "splits"):
            if raw.get(key) is not None:
                raise UserError(
                    f"{key} is {shown(raw[key])}, which counts random programs, and no op is chosen. Leave it out."
                )
        splits = {}
    measure = parse_measure(mapping(raw["measure"], "measure"))
    extract = parse_extract(mapping(raw["extract"], "extract"), with_models=bool(models))
    if merge:
        making = {"ops": ops, "models": models, "suites": suites, "save_weights": raw["save_weights"]}
        exported = mapping(raw["export"], "export").get("consumer")
        refuse_beside_merge({**making, "measure": measure.enabled, "export": exported, "shard": raw.get("shard")})
        ratios = {} if raw.get("split_ratios") is None else ratios
    export = parse_export(mapping(raw["export"], "export"), CONSUMERS)
    if export is not None and not measure.enabled:
        raise UserError(
            f"export={export.consumer} needs measured times, and measure is none. Type measure=baseline "
            f"export={export.consumer}, or measure and export the dataset later: "
            f"python scripts/export.py {export.consumer} outputs/<dataset>"
        )
    strata = parse_strata(mapping(raw.get("strata") or {}, "strata"))
    trust = parse_trust(raw["trust"])
    _check_times(measure, strata, export)
    return RunConfig(
        name=_parse_name(raw["name"]),
        seed=whole_number(raw["seed"], "seed", minimum=0, maximum=(1 << 63) - 1, example="seed=42"),
        splits=splits,
        split_ratios=ratios,
        ops=ops,
        models=models,
        extract=extract,
        suites=suites,
        exclude=parse_exclude(raw["exclude"]),
        limits=_parse_limits(mapping(raw["limits"], "limits")),
        forms=parse_form(mapping(raw.get("form") or {}, "form")),
        strata=strata,
        converter=parse_converter(mapping(raw["converter"], "converter")),
        check=parse_check(mapping(raw["check"], "check")),
        measure=measure,
        sandbox=parse_sandbox(mapping(raw["sandbox"], "sandbox")),
        on_exhausted=choice(raw["on_exhausted"], "on_exhausted", EXHAUSTION_POLICIES),
        storage=choice(raw["storage"], "storage", STORAGES),
        programs_per_file=whole_number(
            raw.get("programs_per_file", PROGRAMS_PER_FILE), "programs_per_file", 1, "programs_per_file=50000"
        ),
        save_weights=choice(raw["save_weights"], "save_weights", (True, False)),
        output_dir=_parse_folder(raw["output_dir"]),
        dry_run=choice(raw["dry_run"], "dry_run", (True, False)),
        trust=trust,
        export=export,
        executor=parse_executor(mapping(raw.get("executor") or {}, "executor"), trust),
        shard=_parse_shard(raw.get("shard")),
        merge=merge,
        license=DEFAULT_LICENSES if raw.get("license") is None else parse_license(raw["license"]),
        report=choice(raw.get("report", True), "report", (True, False)),
    )


def _parse_folder(value: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise UserError(
            f"output_dir is {shown(value)}, and must be the path of a folder. Type for instance output_dir=outputs."
        )
    try:
        # Not every shell does it behind a =.
        return Path(value).expanduser()
    except RuntimeError as error:
        raise UserError(f"output_dir is {shown(value)}, and there is no such home folder: {said(error)}") from error


def _parse_name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise UserError(
            f"name is {shown(value)}, and it becomes part of a folder's name: a letter, then letters, digits, "
            "underscores and hyphens, 64 at most. Type for instance name=my_dataset."
        )
    return value


def _parse_shard(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", value, re.ASCII) if isinstance(value, str) else None
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        raise UserError(
            f"shard is {shown(value)}, and must be one of so many, counted from 1: the third of 16 is shard=3/16. "
            "shard=null makes the whole dataset."
        )
    return number, of


def _parse_limits(raw: Mapping[str, Any]) -> Limits:
    check_keys(raw, Limits._fields, "limits")
    bounds = {
        key: None
        if raw.get(key) is None
        else whole_number(raw[key], f"limits.{key}", minimum=1, example=f"limits.{key}=1000000000 or limits.{key}=null")
        for key in Limits._fields
    }
    limits = Limits(**bounds)
    if limits.min_flops is not None and limits.max_flops is not None and limits.min_flops > limits.max_flops:
        raise UserError(
            f"limits.min_flops is {limits.min_flops} and limits.max_flops is {limits.max_flops}: no program has at "
            f"least the one and at most the other. Type limits.min_flops={limits.max_flops} limits.max_flops="
            f"{limits.min_flops}, or limits.min_flops=null."
        )
    return limits


def _check_times(measure: MeasureSettings, strata: Strata, export: ExportSettings | None) -> None:
    """Refuse times that no program may have.

    Raises:
        UserError: when programs are asked for that take longer than what is measured.
    """
    if not measure.enabled:
        return
    longest = measure.max_seconds
    if strata.seconds and strata.seconds[-1] > longest:
        raise UserError(
            f"strata.seconds ends at {strata.seconds[-1]:g} s, and programs that take longer than measure.max_seconds, "
            f"{longest:g} s, are rejected. Type measure.max_seconds={strata.seconds[-1] * 2:g}, or end strata.seconds "
            "earlier."
        )
    if export is not None and (export.bounds.min_ns or 0) > longest * 1e9:
        raise UserError(
            f"export.min_ns is {export.bounds.min_ns}, and programs that take longer than measure.max_seconds, "
            f"{longest:g} s, are rejected, so that nothing would be exported. Type export.min_ns={DEFAULT_MIN_NS}, or "
            "a larger measure.max_seconds."
        )
