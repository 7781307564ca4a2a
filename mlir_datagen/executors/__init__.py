"""What does tasks: worker processes, Dask, or any executor that a config names.

An engine of one's own is a class of `concurrent.futures.Executor` and a file in `conf/executor/`. Only what has to know
more of the engine than `submit` is an `Engine`.

May import: proving, dataset, sources, config, mlir.
"""
