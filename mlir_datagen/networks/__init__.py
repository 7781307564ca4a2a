"""PyTorch networks: the model catalogue, building and lifting them, and the two converters. What knows PyTorch is here.

May import: mlir, ops, programs, proving, dataset.
"""
