"""The command line: `mlir-datagen`, and what scripts/ has under the names of its files; all that prints.

Each subcommand is a module, and a line in `subcommands`. None is imported before it is typed, so that help is quick.

May import: mlir, ops, programs, proving, dataset, networks, sources, config, executors, pipeline, export, verification.
"""
