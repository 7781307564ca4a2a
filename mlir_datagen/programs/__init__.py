"""Programs as values: what one is, what is proven of it, and what follows from its content.

May import: mlir, ops.
"""
