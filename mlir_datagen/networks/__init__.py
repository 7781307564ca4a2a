"""PyTorch networks: the model catalogue, building and lifting them, and the two converters. Only here is torch used.

May import: mlir, ops, programs, proving, dataset.
"""
