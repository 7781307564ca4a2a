"""What is done with all of it, in order: a dataset made (`run`) or measured, a single program proven.

May import: mlir, ops, programs, proving, dataset, networks, sources, config, executors.
"""
