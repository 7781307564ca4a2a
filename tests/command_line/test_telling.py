"""What a terminal shows while something takes long, and what a pipe does not."""

from __future__ import annotations

import io
import sys
import time

import pytest

from mlir_datagen.command_line import telling


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def until(self, words):
        """Wait until some words are shown."""
        for _ in range(200):
            if words in self.getvalue():
                return
            time.sleep(0.05)
        pytest.fail(f"{words!r} is not in {self.getvalue()!r}")


def test_a_terminal_shows_what_is_done_and_for_how_long(monkeypatch):
    terminal = Terminal()
    # Not in a fixture: pytest puts its own in between.
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    with telling.progress("planning", "making") as listener:
        # Nothing is told meanwhile.
        terminal.until("planning [00:01]")
        listener.on_start(200)
        listener.on_written(50)
        terminal.until("making:  25%")
        terminal.until("50/200")
        assert "programs/s]" in terminal.getvalue()
        listener.on_wait()
        listener.on_resume(7)
        listener.on_stage("describing")
        terminal.until("describing [00:01]")
    shown = terminal.getvalue()
    assert "Another run is writing this dataset; waiting for it.\n" in shown
    assert "Going on from 7 programs that a stopped run has left.\n" in shown
    # The line is cleared.
    assert shown.endswith("\r")


def test_a_pipe_has_no_bar(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with telling.progress(waits_for="export") as listener:
        listener.on_stage("planning")
        listener.on_start(3)
        listener.on_written(3)
        listener.on_wait()
    assert stream.getvalue() == "Another run is writing this export; waiting for it.\n"
