"""Pass pipelines, as text."""

from __future__ import annotations

_TO_LOOPS = ",".join(
    [
        "func.func(llvm-request-c-wrappers)",
        "one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map}",
        # Results become arguments, so that nothing is allocated for them while the clock runs.
        "buffer-results-to-out-params{hoist-static-allocs=true modify-public-functions=1}",
        "buffer-deallocation-pipeline",
        # Strided copies become linalg, so that no runtime library is needed.
        "func.func(refback-munge-memref-copy)",
        "func.func(convert-linalg-to-loops)",
        "expand-strided-metadata",
        "lower-affine",
        "convert-scf-to-cf",
    ]
)
_TO_LLVM = ",".join(
    [
        # As log(1 + x), its default, it loses all digits near 0.
        "convert-math-to-llvm{approximate-log1p=false}",
        "convert-math-to-libm",
        "convert-arith-to-llvm",
        "finalize-memref-to-llvm",
        "convert-func-to-llvm",
        "convert-cf-to-llvm",
        "reconcile-unrealized-casts",
    ]
)
BASELINE_PIPELINES = (_TO_LOOPS, _TO_LLVM)
"""What MLIR-RL calls the baseline: bufferize, lower linalg to plain loops; LLVM's -O3 follows when it is compiled.

Between the two, `math.expm1` becomes a call of the C library.
"""

BASELINE_PIPELINE = ",".join(BASELINE_PIPELINES)
"""The passes of both, for the record."""
