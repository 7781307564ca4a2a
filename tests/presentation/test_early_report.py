"""What one does with a report while something of it is still under way."""

from __future__ import annotations

from browser import Visit, chromium, opened
from presented import composed

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.presentation.report import report_page

_FILTER_AT_ONCE = """
    const later = window.setTimeout;
    window.setTimeout = (work, after = 0, ...more) => later(work, after / 100, ...more);
    new MutationObserver((_, observer) => {
      if (document.querySelector("#table tbody tr") === null) return;
      observer.disconnect();
      const field = document.querySelector("#filter-text");
      field.value = "matmul";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }).observe(document, { childList: true, subtree: true });
"""
"""A filter set as soon as there is a table, on a page whose delays are a hundredth of what they are."""


def test_what_is_done_before_all_is_there(tmp_path):
    folder = composed(tmp_path / "made", "ops=[matmul,elementwise]", "num_samples=20", "report=false")
    path = tmp_path / "report.html"
    path.write_bytes(report_page([Dataset(folder)]))
    with chromium() as browser:
        visit = Visit(browser, path, first=_FILTER_AT_ONCE)
        # There are no figures yet when the filter is applied.
        shown = visit.shown()
        visit.settle()
        assert int(shown.split()[0]) < 20
        assert visit.page.locator("#figures-remark").inner_text().split()[2] == shown.split()[0]
        # One program is closed and another one opened before the page hears of the first.
        lines = "document.querySelectorAll('#table tbody tr')"
        visit.page.evaluate(f"{lines}[0].click()")
        opened(visit)
        visit.page.evaluate(f"document.querySelector('dialog').close(); {lines}[1].click()")
        visit.page.wait_for_selector(f"dialog[open][data-shown='{visit.names()[1]}']")
        assert visit.page.url.endswith(f"/{visit.names()[1]}")
        assert visit.told == []
        visit.close()
