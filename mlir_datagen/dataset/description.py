"""Describing a dataset when its programs are written, and finding one that is finished."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.card import CARD, dataset_card, with_times
from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY, manifest, read_manifest
from mlir_datagen.dataset.measurements import MEASUREMENTS, write_measurements
from mlir_datagen.dataset.paths import index_name, split_folder
from mlir_datagen.dataset.reader import changed_files
from mlir_datagen.dataset.rejects import write_rejects
from mlir_datagen.dataset.weights import WEIGHTS_FOLDER
from mlir_datagen.dataset.writer import CHECKSUMS, Checksums, dataset_digest, file_sha256
from mlir_datagen.errors import UserError, shown
from mlir_datagen.pipeline.producing import Production
from mlir_datagen.proving.machine import session
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.mix import Quota

CONFIG = "config.yaml"


def write_description(
    root: Path,
    config: RunConfig,
    counts: Mapping[str, Counter[str]],
    quotas: Sequence[Quota],
    production: Production,
    unseen: Decontamination,
) -> dict[str, Any]:
    """Write config, card, rejects, checksums and, last, the manifest; return the manifest.

    Args:
        root: the folder, with the programs written.
        config: the run's config.
        counts: programs by split and family.
        quotas: what each family was asked for and had.
        production: what was attempted and rejected.
        unseen: what was kept out of the random splits.
    """
    by_family = {
        split: {family: counter[family] for family in (config.ops if split in config.splits else counter)}
        for split, counter in counts.items()
    }
    (root / CONFIG).write_text(config_text(config))
    for split in sorted(counts.keys() & unseen.against.keys()):
        unseen.against[split]["kept"] = counts[split].total()
    card = dataset_card(config, by_family, unseen.against)
    measurements = None
    if config.measure.enabled:
        measurements = write_measurements(root, production.measured, session(config.measure))
        card = with_times(card, measurements)
    (root / CARD).write_text(card)
    write_rejects(root, production.rejected)
    apart = (CHECKSUMS, MEASUREMENTS)
    described = sorted(path.name for path in root.iterdir() if path.is_file() and path.name not in apart)
    described += sorted(index_name(split) for split in counts if "/" in index_name(split))
    files = {name: file_sha256(root / name) for name in described}
    with Checksums(root) as checksums:
        for name, sha256 in files.items():
            checksums.add(sha256, name)
        for path in sorted((root / WEIGHTS_FOLDER).glob("*")):
            checksums.add(file_sha256(path), f"{WEIGHTS_FOLDER}/{path.name}")
    files[CHECKSUMS] = file_sha256(root / CHECKSUMS)
    written = manifest(config, by_family, quotas, production, dataset_digest(root, counts), files)
    if unseen.against:
        written["decontamination"] = {"against": unseen.against, "left_out": unseen.left_out}
    if measurements is not None:
        written[MEASUREMENTS_KEY] = measurements
    (root / MANIFEST).write_text(json.dumps(written, indent=2) + "\n")
    return written


def config_text(config: RunConfig) -> str:
    """Return a config as a dataset holds it."""
    head = (
        f"# The config of the dataset {config.dataset_name}. To run it again:\n"
        f"#   python scripts/generate.py --config-dir {config.dataset_name} --config-name config\n"
    )
    return head + yaml.safe_dump(config.to_saved(), sort_keys=False, default_flow_style=None, width=120)


def find_finished(path: Path, config: RunConfig) -> dict[str, Any] | None:
    """Return the manifest of the dataset that a config describes, or None when it is not there.

    The check is cheap: the files that the manifest lists, and how many programs there are.

    Raises:
        UserError: when the folder is there but is something else, or is damaged.
    """
    if not path.exists():
        return None
    if not path.is_dir() or (not (path / MANIFEST).exists() and any(path.iterdir())):
        raise UserError(
            f"{path} is in the way: this run would make a folder of that name, and what is there is not a finished "
            f"dataset of ours (it has no {MANIFEST}). Move it away, or choose another folder (output_dir=…)."
        )
    if not (path / MANIFEST).exists():
        return None
    found = read_manifest(path)
    if found.get("fingerprint") != config.fingerprint:
        raise UserError(
            f"{path} is in the way: its manifest has the fingerprint {shown(found.get('fingerprint'))}, so it is "
            "another dataset under this name. Move it away, or choose another folder (output_dir=…)."
        )
    damaged = [*changed_files(path, listed_files(found)), *miscounted_splits(path, found)]
    if damaged:
        raise UserError(
            f"The dataset {path} is damaged: {'; '.join(damaged)}. Delete the folder and run this again "
            "to make it anew; scripts/verify.py checks every byte of a dataset."
        )
    return found


def listed_files(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of all files that a manifest lists, the measured times included."""
    files = dict(found["files"])
    if MEASUREMENTS_KEY in found:
        files[MEASUREMENTS] = found[MEASUREMENTS_KEY]["sha256"]
    return files


def miscounted_splits(path: Path, found: Mapping[str, Any]) -> list[str]:
    """Return the splits whose folder has not as many `.mlir` files as the manifest says."""
    if found["storage"] == "parquet":
        return []
    problems = []
    for split, counts in found["counts"].items():
        expected = sum(counts.values())
        folder = path / split_folder(split)
        present = len(os.listdir(folder)) if folder.is_dir() else 0
        if present != expected:
            problems.append(f"{split}/ has {present} files instead of {expected}")
    return problems
