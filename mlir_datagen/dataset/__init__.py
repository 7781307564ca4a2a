"""The dataset's folder: the only place that writes files.

May import: mlir, ops, programs, proving.
"""
