"""What shows a finished dataset: to programs that read Croissant, and to people. It gives bytes, and writes nothing.

May import: mlir, ops, programs, dataset.
"""
