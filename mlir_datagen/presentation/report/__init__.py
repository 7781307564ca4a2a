"""The report: one HTML page to look through one or two datasets, which needs no network and no other file."""

from __future__ import annotations

from mlir_datagen.presentation.report.assembly import report_page

__all__ = ["report_page"]
