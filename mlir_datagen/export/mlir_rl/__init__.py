"""MLIR-RL's format: what it reads, how a dataset is written so, and a checker of any folder."""
