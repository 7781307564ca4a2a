"""What is done with all of it, in order: a dataset made (`run`), measured or shown, a single program proven.

May import: mlir, ops, programs, proving, dataset, presentation, networks, sources, config, executors.
"""
