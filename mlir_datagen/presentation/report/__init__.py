"""The report: one HTML page to look through one or two datasets, which needs no network and no other file."""

from __future__ import annotations

from mlir_datagen.presentation.report.assembly import MOST_DATASETS, REPORT, report_page

__all__ = ["MOST_DATASETS", "REPORT", "report_page"]
