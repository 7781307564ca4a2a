"""The dataset card: the README.md of a dataset's folder, which the Hugging Face libraries read too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from mlir_datagen.dataset.card_head import card_head
from mlir_datagen.dataset.card_sections import NO_PICTURES
from mlir_datagen.dataset.diversity import Diversity
from mlir_datagen.dataset.licenses import license_url
from mlir_datagen.dataset.paths import split_folder
from mlir_datagen.dataset.schema import PLACE_COLUMNS, PROGRAM_COLUMNS
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.errors import listed
from mlir_datagen.version import GENERATOR_VERSION, GENERATOR_YEAR

CARD = "README.md"


def dataset_card(
    settings: DatasetSettings,
    counts: Mapping[str, Mapping[str, int]],
    against: Mapping[str, Mapping[str, Any]],
    quotas: Mapping[str, Any],
    diversity: Diversity,
) -> str:
    """Return the card of a finished dataset.

    Args:
        settings: of the run.
        counts: programs by split and family.
        against: what the manifest says of the programs that the random splits must not have.
        quotas: what the manifest says of what each family was asked for and had.
        diversity: how different the programs are.
    """
    families = list(dict.fromkeys([*settings.families, *(family for split in counts.values() for family in split)]))
    total = sum(sum(by_family.values()) for by_family in counts.values())
    rows = [
        [split, *(counts[split].get(family, 0) for family in families), sum(counts[split].values())] for split in counts
    ]
    indexes = {split: settings.index_files(split, sum(by_family.values())) for split, by_family in counts.items()}
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
{card_head(settings, indexes, total)}---

# {settings.dataset_name}

{total} MLIR programs, made by mlir_datagen (generator version {GENERATOR_VERSION}). Each is a module with one
function on tensors of static shape. Every one passed MLIR's parser and verifier, and no two are the same.

{NO_PICTURES}{_merged(settings)}{_forms(settings)}{_networks(settings)}{_incomplete(against)}
{tabulate(rows, headers=["split", *families, "all"], tablefmt="github")}

{_splitting(settings)}

## Diversity

{_diversity(diversity, counts, quotas)}

## Use

```python
import datasets

programs = datasets.load_dataset("path/of/this/folder")
print(programs["{first}"][0]["{"mlir" if with_text else "file"}"])
```

{chr(10).join(layout)}
- `config.yaml`: the config that this dataset comes from; `manifest.json`: counts, checksums, versions
- `SHA256SUMS`: `sha256sum -c SHA256SUMS` checks every file but measured times and what shows the dataset
  (`pictures/`, `report.html`, and `croissant.json`, which describes it to programs), whose checksums
  `manifest.json` has

## Columns

{tabulate(columns, headers=["column", "meaning"], tablefmt="github")}

## Reproduce

With a checkout of mlir_datagen of the same generator version:

```bash
python scripts/reproduce.py path/of/this/folder     # makes it again and compares every byte
python scripts/generate.py --config-dir path/of/this/folder --config-name config
```

## Licence

{_licenses(settings)}

## Citation

```bibtex
{citation(settings.dataset_name, total)}
```
"""


def citation(name: str, programs: int) -> str:
    """Return how a dataset is cited, for BibTeX.

    Args:
        name: of its folder.
        programs: how many it has.
    """
    title = name.replace("_", "\\_")
    return f"""@misc{{{name},
  title = {{{{{title}: {programs} MLIR programs}}}},
  author = {{{{The mlir\\_datagen authors}}}},
  year = {{{GENERATOR_YEAR}}},
  note = {{Made by mlir\\_datagen, generator version {GENERATOR_VERSION}}}
}}"""


def _and_others(files: Sequence[str]) -> str:
    """Say up to which file an index goes on."""
    return f" to `{files[-1]}`" if len(files) > 1 else ""


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
    if not settings.families:
        return "The split of a program says where it comes from."
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


def _licenses(settings: DatasetSettings) -> str:
    """Say under which licence the dataset is."""
    named = listed(f"[{name}]({license_url(name)})" for name in settings.licenses)
    if len(settings.licenses) == 1:
        return f"The programs, and all that is said of them here, are under the licence {named}."
    return f"The datasets that it was merged of are under different licences: {named}."


def _diversity(diversity: Diversity, counts: Mapping[str, Mapping[str, int]], quotas: Mapping[str, Any]) -> str:
    """Say how different the programs are, and how much of what there is they are."""
    lines = [
        f"- Distinct programs: {diversity.distinct} of {diversity.programs}",
        f"- Distinct multisets of operations: {diversity.multisets}",
        f"- Distinct (operation, element type, layout): {diversity.triples}",
    ]
    if diversity.families:
        lines += [
            "",
            "Of the drawn programs, by family: the entropy of each dimension in bits (Shannon's: 0 where all have the "
            "same\nvalue, 3 where eight values are equally frequent), and how many of the programs that the config "
            "admits there are here.",
            "",
            "| family | programs | entropy in bits | share of the admissible |",
            "|---|---|---|---|",
        ]
    for family, of in diversity.families.items():
        entropies = ", ".join(f"{name} {bits:.2f}" for name, bits in of.entropies.items())
        lines.append(f"| {family} | {of.programs} | {entropies} | {_share(family, counts, quotas)} |")
    return "\n".join(lines)


def _share(family: str, counts: Mapping[str, Mapping[str, int]], quotas: Mapping[str, Any]) -> str:
    """Say what share of the programs that there are for its splits a dataset has of a family."""
    quota = quotas.get(family, {})
    existing = {key: sum(of.get(key, 0) for of in quota.values()) for key in ("existing", "existing_at_most")}
    # Where they are drawn without a grid, nothing says how many there are.
    total = sum(existing.values())
    if not total or any("existing_at_least" in of for of in quota.values()):
        return "not known"
    made = sum(counts[split].get(family, 0) for split in quota)
    return f"{'at least ' if existing['existing_at_most'] else ''}{100 * made / total:.3g}%"


def _incomplete(against: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which suites lack programs that were rejected: results on them do not compare with others."""
    return "".join(
        f"\n**{home} is incomplete**: {of['kept']} of its {of['size']} programs passed the checks; `rejects.jsonl` "
        "says why the others did not. Results on it do not compare with published ones.\n"
        for home, of in against.items()
        if {"kept", "size"} <= of.keys() and of["kept"] < of["size"]
    )
