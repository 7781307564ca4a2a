from __future__ import annotations

import html

import html5lib
from browser import Visit, chromium, opened
from merging import rows
from presented import composed, index

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.presentation.report import report_page


def test_two_datasets_side_by_side(tmp_path):
    folder = composed(tmp_path / "one", "ops=[matmul,elementwise,reduce,dag]", "num_samples=80")
    other = composed(tmp_path / "other", "ops=[matmul,elementwise]", "num_samples=60")
    path = tmp_path / "report.html"
    path.write_bytes(report_page([Dataset(folder), Dataset(other)]))
    html5lib.HTMLParser(strict=True).parse(path.read_text())
    both = {row["sha256"] for row in index(folder).values()} & {row["sha256"] for row in index(other).values()}
    assert len(both) > 10
    with chromium() as browser:
        visit = Visit(
            browser, path, "#B/train/" + rows(other, "train")[2]["name"], viewport={"width": 1600, "height": 900}
        )
        assert opened(visit)[0].rstrip() == rows(other, "train")[2]["mlir"].rstrip()
        visit.leave_program()
        assert visit.page.locator(".shared").inner_text().startswith(f"{len(both)} programs are in both")
        assert visit.shown() == "140 of 140 programs"
        visit.page.locator("#filter-set").select_option(index=2)
        assert visit.shown() == "60 of 140 programs"
        visit.settle()
        assert set(visit.column("Dataset")) == {"B"}
        visit.page.locator("details.counts summary").click()
        lines = visit.page.locator("details.counts tbody tr").all_inner_texts()
        cells = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
        for family in ("matmul", "dag"):
            counts = [sum(row["family"] == family for row in index(one).values()) for one in (folder, other)]
            assert int(cells[family][-1]) == counts[1] - counts[0]
            assert sum(map(int, cells[family][:2])) == counts[0]
        names = visit.page.evaluate("document.querySelector('#plot-families').data.map((trace) => trace.name)")
        assert names == ["B · train", "B · test"]
        assert visit.told == []
        visit.close()


def test_programs_are_the_same_however_they_are_written(tmp_path):
    pair = [
        Dataset(composed(tmp_path / form, "ops=[matmul,relu]", "num_samples=20", f"form={form}"))
        for form in ("named", "generic")
    ]
    page = report_page(pair).decode()
    found = [{row["sha256"] for row in index(one.folder).values()} for one in pair]
    assert len(found[0] & found[1]) < 20
    assert "<strong>20</strong> programs are in both datasets, compared by what they compute." in html.unescape(page)
