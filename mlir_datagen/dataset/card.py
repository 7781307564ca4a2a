"""The dataset card: the README.md of a dataset's folder, which the Hugging Face libraries read too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from tabulate import tabulate

from mlir_datagen.dataset.paths import split_folder
from mlir_datagen.dataset.schema import PLACE_COLUMNS, PROGRAM_COLUMNS
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.errors import listed
from mlir_datagen.version import GENERATOR_VERSION

CARD = "README.md"
_TIMES_HEADING = "\n## Times\n"

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def dataset_card(
    settings: DatasetSettings, counts: Mapping[str, Mapping[str, int]], against: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the card of a finished dataset.

    Args:
        settings: of the run.
        counts: programs by split and family.
        against: what the manifest says of the programs that the random splits must not have.
    """
    families = list(dict.fromkeys([*settings.families, *(family for split in counts.values() for family in split)]))
    total = sum(sum(by_family.values()) for by_family in counts.values())
    rows = [
        [split, *(counts[split].get(family, 0) for family in families), sum(counts[split].values())] for split in counts
    ]
    indexes = {split: settings.index_files(split, sum(by_family.values())) for split, by_family in counts.items()}
    head = {
        "pretty_name": settings.dataset_name,
        "tags": ["mlir", "linalg", "compilers"],
        "size_categories": [next((label for bound, label in _SIZES if total < bound), "n>10M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": files[0] if len(files) == 1 else files} for split, files in indexes.items()
                ],
            }
        ],
    }
    with_text = settings.storage != "files"
    with_files = settings.storage != "parquet"
    described = {**PLACE_COLUMNS, **PROGRAM_COLUMNS}
    if not with_text:
        del described["mlir"]
    columns = [[f"`{name}`", meaning] for name, (_, meaning) in described.items()]
    layout = [
        f"- `{files[0]}`{_and_others(files)}: the index, a row for each program{', with its text' if with_text else ''}"
        for files in indexes.values()
    ]
    if with_files:
        layout += [f"- `{split_folder(split)}/`: the programs as `.mlir` files" for split in counts]
    if settings.with_weights and settings.networks:
        layout.append("- `weights/`: the networks' parameters and buffers, as safetensors under their names in PyTorch")
    first = next(iter(counts))
    return f"""---
{yaml.safe_dump(head, sort_keys=False).strip()}
---

# {settings.dataset_name}

{total} MLIR programs, made by mlir_datagen (generator version {GENERATOR_VERSION}). Each is a module with one
function on tensors of static shape. Every one passed MLIR's parser and verifier, and no two are the same.
{_merged(settings)}{_forms(settings)}{_networks(settings)}{_incomplete(against)}
{tabulate(rows, headers=["split", *families, "all"], tablefmt="github")}

{_splitting(settings)}

## Use

```python
import datasets

programs = datasets.load_dataset("path/of/this/folder")
print(programs["{first}"][0]["{"mlir" if with_text else "file"}"])
```

{chr(10).join(layout)}
- `config.yaml`: the config that this dataset comes from; `manifest.json`: counts, checksums, versions
- `SHA256SUMS`: `sha256sum -c SHA256SUMS` checks every file

## Columns

{tabulate(columns, headers=["column", "meaning"], tablefmt="github")}

## Reproduce

With a checkout of mlir_datagen of the same generator version:

```bash
python scripts/reproduce.py path/of/this/folder     # makes it again and compares every byte
python scripts/generate.py --config-dir path/of/this/folder --config-name config
```
"""


def _and_others(files: Sequence[str]) -> str:
    """Say up to which file an index goes on."""
    return f" to `{files[-1]}`" if len(files) > 1 else ""


def with_times(card: str, measurements: Mapping[str, Any]) -> str:
    """Return a card with what the manifest says of the measured times, in place of what it says of them now."""
    programs, disturbed = measurements["programs"], measurements.get("disturbed", 0)
    share = f"{disturbed / programs:.1%}" if programs else "none"
    processors = _processors(measurements["machines"])
    return f"""{without_times(card)}{_TIMES_HEADING}
`measurements.parquet` has the time of one call of {programs} programs, unoptimised, on one core of {processors}.
The times of {disturbed} of them ({share}) are marked in the column `disturbed`: other work had the core throughout, or
the machine was slower than it can be.
"""


def _processors(machines: Sequence[Mapping[str, Any]]) -> str:
    """Say what machines times are of; where there are several, how many are of which."""
    if len(machines) == 1:
        return str(machines[0]["cpu"])
    each = [f"{one['cpu']} (`{one['id']}`: {one['programs']})" for one in machines]
    return f"{listed(each)}; the column `machine` says which" if each else "no machine"


def without_times(card: str) -> str:
    """Return a card without what it says of measured times: all that comes back byte for byte."""
    return card.partition(_TIMES_HEADING)[0]


def _merged(settings: DatasetSettings) -> str:
    """Say what it was merged of."""
    if not settings.parents:
        return ""
    return (
        f"\nMerged of {settings.parents} datasets, which `parents` in `manifest.json` names: to make it again, they "
        "must\nbe where `config.yaml` says. The columns `seed` and `spec` say where a program comes from.\n"
    )


def _splitting(settings: DatasetSettings) -> str:
    """Say what decides a program's split."""
    if settings.saved["split_ratios"] is None:
        return (
            "The datasets that it was merged of have different proportions of the splits: what was in several splits\n"
            "is in the smallest of these."
        )
    return (
        "A program's split is decided by its content and the proportions of the splits alone: a program that is in "
        "`test` here is\nin no `train` of a dataset with the same proportions."
    )


def _forms(settings: DatasetSettings) -> str:
    """Say how the random programs are written, and what parses them."""
    if not settings.families:
        return ""
    if settings.versions is None:
        each = "The columns `minimum_mlir` and `maximum_mlir` say which MLIR parses each"
        return f"\nForms of the random programs: {', '.join(settings.forms)}. {each}.\n"
    oldest, newest = settings.versions
    versions = f"{oldest} and newer" if newest is None else f"{oldest} to {newest}"
    return f"\nForms of the random programs: {', '.join(settings.forms)}. All of them parse on MLIR {versions}.\n"


def _networks(settings: DatasetSettings) -> str:
    """Say what the networks are."""
    return f"\nThe networks {', '.join(settings.networks)} {settings.converted}\n" if settings.networks else ""


def _incomplete(against: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which suites lack programs that were rejected: results on them do not compare with others."""
    return "".join(
        f"\n**{home} is incomplete**: {of['kept']} of its {of['size']} programs passed the checks; `rejects.jsonl` "
        "says why the others did not. Results on it do not compare with published ones.\n"
        for home, of in against.items()
        if {"kept", "size"} <= of.keys() and of["kept"] < of["size"]
    )
