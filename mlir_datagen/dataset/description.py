"""Writing what describes a dataset, when its programs are written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mlir_datagen.dataset.card import CARD, dataset_card
from mlir_datagen.dataset.card_sections import with_times
from mlir_datagen.dataset.diversity import Diversity
from mlir_datagen.dataset.durable import flush, flush_folder
from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY, manifest
from mlir_datagen.dataset.measurements import write_measurements
from mlir_datagen.dataset.rejects import write_rejects
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.dataset.weights import WEIGHTS_FOLDER
from mlir_datagen.dataset.writer import CHECKSUMS, Checksums, dataset_digest, file_sha256
from mlir_datagen.programs.production import Production

CONFIG = "config.yaml"


def write_description(
    root: Path,
    settings: DatasetSettings,
    counts: Mapping[str, Counter[str]],
    quotas: Mapping[str, Any],
    production: Production,
    against: Mapping[str, dict[str, Any]],
    diversity: Diversity,
    session: Mapping[str, Any] | None = None,
    besides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write config, card, rejects, checksums and, last, the manifest; return the manifest.

    Args:
        root: the folder, with the programs written.
        settings: of the run.
        counts: programs by split and family.
        quotas: what the manifest says of what each family was asked for and had.
        production: what was attempted and rejected.
        against: what was kept out of the random splits; how many programs of each suite were kept is added.
        diversity: how different the programs are.
        session: what the manifest says of the session that measured the programs; None where none has.
        besides: what the manifest says besides, or instead.
    """
    by_family = {
        split: {family: counter[family] for family in (settings.families if split in settings.splits else counter)}
        for split, counter in counts.items()
    }
    (root / CONFIG).write_text(config_text(settings))
    for split in sorted(counts.keys() & against.keys()):
        against[split]["kept"] = counts[split].total()
    indexes = {split: settings.index_files(split, counts[split].total()) for split in counts}
    card = dataset_card(settings, by_family, against, quotas, diversity)
    measurements = None
    if session is not None:
        failed = sum(counter.total() for counter in counts.values()) - len(production.measured)
        measurements = write_measurements(root, production.measured, session, failed)
        card = with_times(card, measurements)
    (root / CARD).write_text(card)
    write_rejects(root, production.rejected)
    described = sorted(path.name for path in root.iterdir() if path.is_file() and path.name != CHECKSUMS)
    described += sorted(name for names in indexes.values() for name in names if "/" in name)
    files = {name: file_sha256(root / name) for name in described}
    with Checksums(root) as checksums:
        for name, sha256 in files.items():
            checksums.add(sha256, name)
        for path in sorted((root / WEIGHTS_FOLDER).glob("*")):
            checksums.add(file_sha256(path), f"{WEIGHTS_FOLDER}/{path.name}")
    files[CHECKSUMS] = file_sha256(root / CHECKSUMS)
    written = manifest(settings, by_family, quotas, production, dataset_digest(root, indexes), files)
    if against:
        left_out = sum(one.stage == "unseen" for one in production.rejected)
        written["decontamination"] = {"against": against, "left_out": left_out}
    written |= besides or {}
    if measurements is not None:
        written[MEASUREMENTS_KEY] = measurements
    # Whoever finds a manifest finds all that it lists, also after the power has failed.
    flush_folder(root)
    partial = root / f".{MANIFEST}.partial"
    partial.write_text(json.dumps(written, indent=2) + "\n")
    flush(partial)
    partial.rename(root / MANIFEST)
    flush(root)
    return written


def config_text(settings: DatasetSettings) -> str:
    """Return the config of a run as a dataset holds it."""
    head = (
        f"# The config of the dataset {settings.dataset_name}. To run it again:\n"
        f"#   python scripts/generate.py --config-dir {settings.dataset_name} --config-name config\n"
    )
    return head + yaml.safe_dump(settings.saved, sort_keys=False, default_flow_style=None, width=120)
