"""The browser that pages are tested in: Debian's Chromium, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Any]:
    """Run an installed Chromium; without it the test is skipped, but not in CI."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("chromium is not installed (apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_OPTIONS))
        yield browser
        browser.close()


class Visit:
    """A page of a file, opened in a context of its own, and all that it complained of or asked for.

    Attributes:
        page: playwright's page.
        told: what it wrote to the console, and the errors that it did not catch.
        requests: the addresses that it asked for, but for its own.
    """

    def __init__(self, browser: Any, path: Path, address: str = "", first: str = "", **context: Any) -> None:
        """Open a page and wait until it is complete.

        Args:
            browser: playwright's.
            path: the page's file.
            address: the part of its address that begins with #.
            first: a script that runs before the page's own.
            **context: settings of the window.
        """
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.add_init_script(first)
        self.told: list[str] = []
        self.requests: list[str] = []
        own = path.as_uri()
        self.page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("dialog", lambda dialog: self.told.append(f"dialog: {dialog.message}") or dialog.dismiss())
        self.page.on("request", lambda request: self.requests.append(request.url) if request.url != own else None)
        self.page.goto(own + address)
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)

    def settle(self) -> None:
        """Wait until no filter waits to be applied, and no figure is being drawn."""
        self.page.wait_for_function("() => document.querySelector('[aria-busy]') === null")

    def waits_for(self, condition: str) -> None:
        """Wait until an expression of JavaScript is true."""
        self.page.wait_for_function(f"() => {condition}")

    def names(self) -> list[str]:
        """Return the names in the rows that are shown."""
        return self.page.locator("#table tbody th").all_inner_texts()

    def column(self, title: str) -> list[str]:
        """Return what is shown in the column of a title."""
        titles = [text.strip() for text in self.page.locator("#table thead th").all_inner_texts()]
        return self.page.locator(f"#table tbody tr > :nth-child({titles.index(title) + 1})").all_inner_texts()

    def shown(self) -> str:
        """Wait for the filters, and return of how many programs they leave."""
        self.page.wait_for_selector("#shown:not([aria-busy])")
        return self.page.locator("#shown").inner_text()

    def on_a_page(self, rows: int) -> None:
        """Let the table have so many rows on a page, and wait for them."""
        self.page.locator(".dt-length select").select_option(str(rows))
        left = int(self.shown().split()[0])
        self.waits_for(f"document.querySelectorAll('#table tbody tr[data-row]').length === {min(rows, left)}")

    def is_sorted_by(self, title: str, direction: str) -> None:
        """Wait until the rows are in the order of a column."""
        self.page.wait_for_selector(f"#table thead th[aria-sort={direction}]:has-text('{title}')")

    def leave_program(self) -> None:
        """Close the program that is open, and wait until the address names none."""
        self.page.keyboard.press("Escape")
        self.waits_for("document.querySelector('dialog[open]') === null && location.hash === ''")

    def close(self) -> None:
        self.context.close()


def opened(visit: Visit) -> tuple[str, str]:
    """Wait until a program is shown; return its text and its name."""
    visit.page.wait_for_selector("dialog[open][data-shown] pre.mlir")
    return visit.page.locator("pre.mlir").inner_text(), visit.page.locator("#program-name").inner_text()
