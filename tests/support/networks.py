"""Choosing small networks, for the tests of networks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from helpers import SUPPORT
from warm_scripts import run_warm

PLANTED = {"PYTHONPATH": os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])}
"""An environment in which the classes of `planted_networks` can be imported."""

TRUSTED = "trust=[planted_networks]"

RESNET = ["models.resnet18.sizes.resolution=32"]
BERT = [
    "models.bert_base.arguments.num_hidden_layers=1",
    "models.bert_base.arguments.hidden_size=32",
    "models.bert_base.arguments.num_attention_heads=2",
    "models.bert_base.arguments.intermediate_size=64",
    "models.bert_base.arguments.vocab_size=100",
    "models.bert_base.sizes.sequence_length=8",
]
GPT2 = [
    "models.gpt2.arguments.n_layer=1",
    "models.gpt2.arguments.n_embd=32",
    "models.gpt2.arguments.n_head=2",
    "models.gpt2.arguments.vocab_size=100",
    "models.gpt2.sizes.sequence_length=8",
]


def planted(name: str, class_name: str = "", inputs: str = "{name: x, shape: [2, 3]}") -> str:
    """Return the setting that adds a network of `planted_networks` to a run."""
    class_name = class_name or "".join(part.capitalize() for part in name.split("_"))
    return f"+models.{name}={{class: planted_networks.{class_name}, inputs: [{inputs}]}}"


SMALL = planted("small", inputs="{name: image, shape: [1, 3, 8, 8]}")


def generate(cwd: Path, *arguments: str) -> Any:
    """Run scripts/generate.py where the planted networks can be imported."""
    return run_warm("generate", *arguments, cwd=cwd, environment=PLANTED)


def index_rows(dataset: Path, split: str = "neural_nets") -> dict[str, dict[str, Any]]:
    """Return a split's rows by name, in order."""
    return {row["name"]: row for row in pq.read_table(dataset / f"{split}.parquet").to_pylist()}


def rejects(dataset: Path) -> dict[str, dict[str, Any]]:
    """Return a dataset's rejected networks by name."""
    lines = (dataset / "rejects.jsonl").read_text().splitlines()
    return {json.loads(line["spec"])["name"]: line for line in map(json.loads, lines)}


def manifest(dataset: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((dataset / "manifest.json").read_text())
    return found
