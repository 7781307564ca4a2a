"""What shows a finished dataset to people: facts of its programs, pictures of these, and a report to look through it.

Everything here returns values and bytes; `dataset/` writes them.

May import: mlir, ops, programs, dataset.
"""
