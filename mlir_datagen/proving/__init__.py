"""Proving programs beyond the parser: lowering, running against a reference, measuring; each in a worker process.

May import: mlir, ops, programs.
"""
