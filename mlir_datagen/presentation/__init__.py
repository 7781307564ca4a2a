"""What shows a finished dataset: to programs that read Croissant, and to people, as pictures and a report.

It gives values and bytes, and writes nothing.

May import: mlir, ops, programs, dataset.
"""
