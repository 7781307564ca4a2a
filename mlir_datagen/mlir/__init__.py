"""Everything that touches MLIR: text emission (no bindings) and parsing (the only importer of torch_mlir)."""
