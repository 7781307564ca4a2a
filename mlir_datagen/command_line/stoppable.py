"""Imported before all else: from then on Ctrl-C ends the process without a traceback, also while it imports."""

from __future__ import annotations

from mlir_datagen.command_line.running import end_at_once

end_at_once()
