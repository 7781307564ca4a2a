"""Which subcommands there are; the module of that name has each as its `command`."""

from __future__ import annotations

SUBCOMMANDS = {
    "generate": "Make a dataset.",
    "show": "Show what a dataset has, or one program of it.",
    "report": "Make a dataset's pictures and report; compare two.",
    "verify": "Check a dataset against all that it claims.",
    "reproduce": "Make a dataset again and compare every byte.",
    "measure": "Measure the time of every program of a dataset.",
    "merge": "Make one dataset of several, or of all shards.",
    "export": "Write a dataset in the format of a consumer.",
    "check": "Check a folder that MLIR-RL is to load.",
    "program": "Print and check one program.",
    "list-ops": "Print which operations there are ops for.",
    "list-operators": "Print what the manual converter has and lacks.",
    "list-programs": "Print one program of every op.",
    "list-settings": "Print every setting, with its default.",
}
"""The name and what `mlir-datagen --help` says of it, in the order of that page."""
