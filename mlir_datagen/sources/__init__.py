"""Where programs come from. A source is handed its own settings, and gives programs or why there are none.

May import: mlir, ops, programs, proving, dataset, networks.
"""
