"""MLIR-RL's format: what it reads, how a dataset is written so, and a checker of any folder.

Its forms of programs and its lowering are in `mlir/` (`timed_main`, `mlir_rl_form`, `mlir_rl_lowering`): they need the
bindings, which only that package imports.
"""
