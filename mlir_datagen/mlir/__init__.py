"""Text of MLIR: written without bindings, and read, lowered and compiled with them. Only here is torch_mlir imported.

May import: no other package.
"""
