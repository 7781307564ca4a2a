"""What the vocabulary for responsible AI asks of a dataset, answered from what its manifest says.

The fields that NeurIPS requires are limitations, biases, personal information, uses, social impact, and whether the
data are synthetic and how they came about.
"""

from __future__ import annotations

from typing import Any

from mlir_datagen.dataset.card_sections import said_processors
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY
from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.rejects import REJECTS
from mlir_datagen.programs.program import EXTRACTED, NETWORKS_SPLIT
from mlir_datagen.version import GENERATOR_VERSION


def responsible_ai(dataset: Dataset) -> dict[str, Any]:
    """Return the fields of `mlcroissant.Metadata` that describe how a dataset came about and what it is good for."""
    measured = dataset.manifest.get(MEASUREMENTS_KEY)
    return {
        "data_collection": _collection(dataset),
        "data_collection_type": ["Software Collection", *(["Experiments"] if measured else [])],
        "data_collection_missing_data": _missing(measured),
        "data_collection_raw_data": "There are none: config.yaml, the generator and its pinned libraries give every "
        "program again, byte for byte.",
        "data_preprocessing_protocol": _preprocessing(dataset),
        "data_annotation_protocol": _annotation(measured),
        "machine_annotation_tools": ["mlir_datagen", *(["LLVM's JIT compiler (torch-mlir)"] if measured else [])],
        "data_biases": _biases(dataset),
        "data_limitations": _limitations(measured),
        "data_use_cases": [
            "Training and comparing agents that choose schedules or passes for MLIR programs.",
            "Training and comparing models that predict the cost of a program.",
            "Testing compilers: each program is valid, and what it computes is known.",
            "Not for claims about real workloads without checking on these: the shares of operations and sizes are "
            "chosen, not observed.",
        ],
        "data_social_impact": "The programs have no content about people. Faster code saves energy; measuring many "
        "programs, and training on them, uses some.",
        "personal_sensitive_information": [
            "None. The programs compute on tensors of numbers that the dataset does not contain, and no text of it "
            "comes from a person."
        ],
        "data_release_maintenance_plan": "A dataset is not changed after it is made. The generator's version is in its "
        "name, by a hash, and goes up when the same config would give other programs.",
    }


def provenance(dataset: Dataset) -> dict[str, Any]:
    """Return the keys that the library does not know yet: that the data are synthetic, and what they come from."""
    made = {
        "@type": "prov:Activity",
        "prov:label": "generation",
        "description": _collection(dataset),
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": "mlir_datagen"},
    }
    parents = [one["dataset"] for one in dataset.manifest.get("parents", ())]
    derived = {"prov:wasDerivedFrom": [{"@type": "sc:Dataset", "name": name} for name in parents]} if parents else {}
    return {"rai:hasSyntheticData": True, "prov:wasGeneratedBy": [made], **derived}


def _collection(dataset: Dataset) -> str:
    """Say how the programs came about."""
    made = {
        "drawn by a seeded generator from grids and graphs that config.yaml describes": _has_drawn(dataset),
        "converted from neural networks with random weights": NETWORKS_SPLIT in dataset.splits,
        "taken out of such networks": EXTRACTED in dataset.splits,
        "listed in suites to evaluate on": any(split.startswith("suites.") for split in dataset.splits),
    }
    how = "; ".join(how for how, is_so in made.items() if is_so)
    return (
        f"All data are synthetic. The programs were made by mlir_datagen, generator version {GENERATOR_VERSION}: "
        f"{how}. Each passed MLIR's parser and verifier, and the column check says how much further it was checked."
    )


def _preprocessing(dataset: Dataset) -> list[str]:
    """Say what was left out, and what decides the splits."""
    funnel = dataset.manifest["funnel"]
    kept = f"Of {funnel['attempted']} programs that were attempted, {funnel['kept']} were kept"
    listed = "and rejects.jsonl lists them with the reason and the command that repeats each"
    failed = f": manifest.json counts how many failed at each stage, {listed}"
    drawn = " The split of a drawn program is decided by a hash of its content."
    return [
        f"{kept}{failed if REJECTS in dataset.manifest['files'] else ''}.",
        f"No two programs are the same, in one split or across splits.{drawn if _has_drawn(dataset) else ''}",
    ]


def _has_drawn(dataset: Dataset) -> bool:
    return any(map(is_drawn, dataset.splits))


def _missing(measured: dict[str, Any] | None) -> str:
    """Say what is missing."""
    nulls = "Nulls in the columns mean what the card says of each."
    if measured is None:
        return f"Times were not measured. {nulls}"
    return f"{measured['failed']} programs have no time, since measuring them failed. {nulls}"


def _annotation(measured: dict[str, Any] | None) -> list[str]:
    """Say where the labels come from."""
    labels = [
        "Flops, bytes, loops, operations and edges are computed from the program itself; nobody labelled anything."
    ]
    if measured is not None:
        labels.append(
            f"Times are those of the unoptimised program on one core of {said_processors(measured['machines'])}: "
            "the median of undisturbed runs. The column disturbed marks those for which there were too few."
        )
    return labels


def _biases(dataset: Dataset) -> list[str]:
    """Say where the programs differ from others."""
    biases = [
        "Operations, shapes and element types are as the config weighs them: they are not as frequent as in real "
        "models. The card counts them and gives the entropy of each dimension.",
        "All shapes are static, and all programs are of the linalg, tensor and arith dialects and a few others that "
        "these need.",
    ]
    if NETWORKS_SPLIT in dataset.splits or EXTRACTED in dataset.splits:
        biases.append("The networks are those that the config names, and have random weights, not trained ones.")
    return biases


def _limitations(measured: dict[str, Any] | None) -> list[str]:
    """Say what the dataset cannot tell."""
    limitations = [
        "That a program was parsed and verified does not say that it can be lowered for every target; the columns "
        "check and proven say what was tried.",
        "No schedules or optimised variants are included.",
    ]
    if measured is not None:
        limitations.append(
            "Times are of the machines that manifest.json describes, of one core and one compilation pipeline, on "
            "arguments of zeros: they do not carry over to other machines."
        )
    return limitations
