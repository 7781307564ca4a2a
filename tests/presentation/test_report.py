from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys

import html5lib
import pytest
from browser import Visit, chromium, opened
from forging import forge, rows_changed
from merging import rows
from presented import composed, index, with_times

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.presentation.facts import dataset_facts
from mlir_datagen.presentation.report import assembly, report_page, texts

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return with_times(
        composed(tmp_path_factory.mktemp("report"), "ops=[matmul,elementwise,reduce,dag]", "num_samples=80")
    )


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(report_page([Dataset(folder)]))
    return path


@pytest.fixture(scope="module")
def visited(browser, page):
    visit = Visit(browser, page, viewport={"width": 1200, "height": 900})
    yield visit
    visit.close()


@pytest.fixture
def visit(visited):
    """The page with nothing open and no filters."""
    visited.page.evaluate("document.querySelector('dialog').close()")
    visited.waits_for("document.querySelector('dialog[open]') === null && location.hash === ''")
    if visited.shown() != "80 of 80 programs":
        visited.page.locator("#reset").click()
        assert visited.shown() == "80 of 80 programs"
    visited.on_a_page(25)
    visited.settle()
    return visited


def test_it_is_html5_and_one_file(page):
    text = page.read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert len(text) < 15_000_000
    # Nothing from elsewhere, and no handlers in attributes: the policy would forbid both.
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]*\b(?:src|href)=["'](?!data:)""", text)
    assert not re.search(r"<[a-z][^>]*\son\w+=", text)


def test_the_same_dataset_gives_the_same_bytes(folder, page):
    again = "import sys, pathlib; from mlir_datagen.dataset.reader import Dataset; "
    again += "from mlir_datagen.presentation.report import report_page; "
    again += "sys.stdout.buffer.write(report_page([Dataset(pathlib.Path(sys.argv[1]))]))"
    done = subprocess.run([sys.executable, "-c", again, str(folder)], capture_output=True, check=True)
    assert done.stdout == page.read_bytes()


def test_nothing_is_complained_of_and_nothing_leaves(visit):
    assert visit.page.locator(".plot .main-svg").count() > 6
    visit.page.locator("#table tbody tr").first.click()
    opened(visit)
    visit.settle()
    # What the page said before, the browser has passed on before.
    with visit.page.expect_console_message(lambda message: message.text == "the last"):
        visit.page.evaluate("console.log('the last')")
    assert visit.told == ["log: the last"]
    assert visit.requests == []
    visit.told.clear()


def test_the_table_has_what_the_index_has(visit, folder):
    visit.on_a_page(100)
    known = index(folder)
    shown = dict(zip(zip(visit.column("Split"), visit.names(), strict=True), visit.column("Flops"), strict=True))
    assert {f"{split}/{name}": int(flops.replace(",", "")) for (split, name), flops in shown.items()} == {
        place: row["flops"] for place, row in known.items()
    }


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        ({"split": "test"}, lambda row: row["split"] == "test"),
        ({"family": "dag"}, lambda row: row["family"] == "dag"),
        ({"flops-low": "10k", "flops-high": "0.1M"}, lambda row: 1e4 <= row["flops"] <= 1e5),
        ({"bytes-high": "20,000"}, lambda row: row["bytes_moved"] <= 20000),
        ({"intensity-low": "1.5"}, lambda row: row["arithmetic_intensity"] >= 1.5),
        ({"time-low": "2e1"}, lambda row: row["bytes_moved"] * (3 if row["slow"] else 1) >= 20e3),
        ({"dimension": "k", "extent-low": "32"}, lambda row: row["family"] == "matmul" and row["k"] >= 32),
        ({"text": "matmul n=16"}, lambda row: row["family"] == "matmul" and "n=16" in row["text"]),
        ({"text": "<b>", "split": "train"}, lambda row: False),
    ],
)
def test_filters(visit, folder, fields, keeps):
    known = index(folder)
    for split in ("train", "test"):
        for place, (key, row) in enumerate(item for item in known.items() if item[1]["split"] == split):
            spec = json.loads(row["spec"])
            known[key] |= {"slow": place % 10 == 9, "k": spec.get("k", 0), "text": f"n={spec.get('n')} "}
    for field, value in fields.items():
        place = visit.page.locator(f"#filter-{field}")
        if place.evaluate("field => field.tagName") == "SELECT":
            place.select_option(label=value)
        else:
            place.fill(value)
    expected = [row["name"] for row in known.values() if keeps(row)]
    assert 0 <= len(expected) < 80
    assert visit.shown() == f"{len(expected)} of 80 programs"
    visit.on_a_page(100)
    assert sorted(visit.names()) == sorted(expected)
    # The figures are of what is left.
    visit.page.wait_for_function(
        "count => document.querySelector('#figures-remark').textContent.includes(`${count} program`)", arg=len(expected)
    )


def test_a_field_that_is_no_number_is_marked(visit):
    field = visit.page.locator("#filter-flops-low")
    field.fill("many")
    assert visit.shown() == "80 of 80 programs"
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("7")
    visit.shown()
    assert field.get_attribute("aria-invalid") is None


def test_sorting(visit, folder):
    flops = sorted((row["flops"] for row in index(folder).values()), reverse=True)
    heading = visit.page.locator("#table thead th", has_text="Flops")
    heading.click()
    visit.is_sorted_by("Flops", "descending")
    assert [int(text.replace(",", "")) for text in visit.column("Flops")] == flops[:25]
    heading.click()
    visit.is_sorted_by("Flops", "ascending")
    assert [int(text.replace(",", "")) for text in visit.column("Flops")] == flops[::-1][:25]


def test_a_program_opens_with_all_that_is_known(visit, folder):
    row = next(row for row in rows(folder, "train") if row["family"] == "dag")
    visit.page.locator("#filter-split").select_option(label="train")
    visit.page.locator("#filter-text").fill(row["name"])
    visit.shown()
    visit.page.locator("#table tbody tr", has_text=row["name"]).first.click()
    text, name = opened(visit)
    assert name == row["name"]
    assert text.rstrip() == row["mlir"].rstrip()
    assert visit.page.url.endswith(f"#train/{row['name']}")
    body = visit.page.locator("#program-body").inner_text()
    assert f"{row['flops']:,}" in body
    assert row["sha256"] in body
    assert visit.page.locator(".graph rect").count() == len(row["nodes"])
    assert visit.page.locator(".graph path[marker-end]").count() == len(row["edges"])
    # What it says makes the program again does.
    command = visit.page.locator("pre.command").first.inner_text()
    assert command.startswith("python scripts/program.py dag '")
    assert visit.page.locator("pre.mlir .operation", has_text="linalg.").count() > 0
    assert visit.page.locator("pre.mlir .type").first.inner_text().startswith("tensor<")


def test_the_highlighter_keeps_every_letter(browser, folder):
    """The pieces of any text are the text."""
    script = (assembly.files("mlir_datagen.presentation.report") / "page" / "highlight.js").read_text()
    odd = [
        '"never closed',
        "tensor<<<>",
        'a\n"b\\"c" // "d"',
        '%0#1 @"x y" ^bb0 #map !t.x<i32> -1.5e+3 0xFF',
        ATTACK,
        "\u2028é😀",
    ]
    given = [row["mlir"] for row in rows(folder, "train")] + odd
    page = browser.new_page()
    found = page.evaluate(f"(given) => {{ {script}\n return given.map(mlirPieces); }}", given)
    page.close()
    assert ["".join(piece for _, piece in pieces) for pieces in found] == given
    pieces = {piece: name for name, piece in found[0]}
    assert pieces["module"] == "keyword"
    assert pieces["func.func"] == "operation"
    assert pieces["%0"] == "value"


def test_an_address_opens_a_program(browser, page, folder):
    row = rows(folder, "test")[3]
    visit = Visit(browser, page, f"#test/{row['name']}")
    text, name = opened(visit)
    assert name == row["name"]
    assert text.rstrip() == row["mlir"].rstrip()
    visit.page.evaluate("location.hash = '#test/none'")
    visit.page.wait_for_function("() => document.querySelector('#told').textContent.includes('does not have')")
    assert visit.told == []
    visit.close()


def test_with_the_keyboard_alone(visit):
    visit.page.locator(".skip").focus()
    seen = []
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        place = visit.page.evaluate(
            "((at, style) => [at.id || at.tagName, at.closest('#table tbody') !== null, style.outlineStyle !== 'none'"
            " && parseFloat(style.outlineWidth) > 0])(document.activeElement, getComputedStyle(document.activeElement))"
        )
        seen.append(place[0])
        # Where the focus is can be seen.
        assert place[2], place
        if place[1]:
            break
    assert seen.index("filter-text") < seen.index("filter-split") < seen.index("filter-flops-low") < seen.index("reset")
    assert place[1]
    visit.page.keyboard.press("ArrowDown")
    second = visit.names()[1]
    visit.page.keyboard.press("Enter")
    assert opened(visit)[1] == second
    # Within the dialog the focus stays.
    for _ in range(30):
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    visit.page.locator("#next-program").focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(f"dialog[data-shown='{visit.names()[2]}']")
    visit.leave_program()
    # Back where it was opened.
    assert visit.page.evaluate("document.activeElement.querySelector('th').textContent") == second
    heading = visit.page.locator("#table thead th", has_text="Bytes").first
    heading.focus() if heading.get_attribute("tabindex") else heading.locator("[tabindex]").focus()
    visit.page.keyboard.press("Enter")
    visit.is_sorted_by("Bytes", "descending")
    found = [int(text.replace(",", "")) for text in visit.column("Bytes")]
    assert found == sorted(found, reverse=True)


def test_all_controls_have_names(visit):
    unnamed = visit.page.evaluate(
        """[...document.querySelectorAll('button, input, select, a, [role=region], [role=group], svg[role=img]')]
        .filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length))
        .filter((one) => !one.closest('.main-svg')).map((one) => one.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_widths_and_colours(visit, width, scheme):
    """One page all the time, which follows when the window or the system's scheme changes."""
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.page.emulate_media(color_scheme=scheme)
    # The letters of the last figure, which is drawn again last.
    ink = "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
    letters = "document.querySelector('#plot-splits').layout.font.color"
    visit.page.wait_for_function(f"() => {letters} === {ink}")
    visit.page.wait_for_function(
        "() => [...document.querySelectorAll('.plot .main-svg')].every((one) => one.clientWidth <= window.innerWidth)"
    )
    visit.settle()
    visit.waits_for(f"document.documentElement.scrollWidth <= {width}")
    brightness, variety = _looked_at(visit.page.screenshot(full_page=True))
    assert (brightness > 0.85) == (scheme == "light")
    assert (brightness < 0.25) == (scheme == "dark")
    assert variety > 0.02
    visit.page.locator("#table tbody tr").first.press("Enter")
    opened(visit)
    dialog = "document.querySelector('dialog')"
    assert visit.page.evaluate(f"[document.documentElement.scrollWidth <= {width}, {dialog}.scrollWidth]") == [
        True,
        visit.page.evaluate(f"{dialog}.clientWidth"),
    ]
    assert _looked_at(visit.page.screenshot())[1] > 0.02
    assert visit.told == []


def _looked_at(picture):
    """Return how bright a picture is, and which share of it is of other colours than the most frequent one."""
    import io

    import matplotlib.image
    import numpy as np

    pixels = (matplotlib.image.imread(io.BytesIO(picture), format="png")[..., :3] * 255).astype(np.int64)
    codes = pixels @ np.array([1 << 16, 1 << 8, 1])
    _, counts = np.unique(codes, return_counts=True)
    return pixels.mean() / 255, 1 - counts.max() / counts.sum()


def test_nothing_of_a_dataset_is_run(browser, folder, tmp_path):
    """A dataset may be anyone's: whatever its texts say, they are shown as they are."""
    planted = tmp_path / 'x"><script>alert(3)</script>'.replace("/", "\u2215")
    shutil.copytree(folder, planted)
    (planted / "test.parquet").chmod(0o644)

    def plant(found):
        for row in found:
            row["mlir"] += f"// {ATTACK} {{{{ script }}}}\n"
            row["sha256"] = hashlib.sha256(row["mlir"].encode()).hexdigest()
            row["kind"] = row["dtype"] = ATTACK
            row["provenance"] = json.dumps({"from": ATTACK})
            row["arguments"][0]["name"] = ATTACK
            row["nodes"][0]["op"] = ATTACK
            row["spec"] = ATTACK

    def named(found):
        for row in found:
            row["family"] = ATTACK

    forge(planted, "test.parquet", rows_changed(plant))
    forge(planted, "train.parquet", rows_changed(named))
    path = tmp_path / "planted.html"
    path.write_bytes(report_page([Dataset(planted)]))
    assert ATTACK not in path.read_text()
    assert "<script>alert" not in path.read_text()
    visit = Visit(browser, path, f"#test/{rows(planted, 'test')[0]['name']}")
    text, _ = opened(visit)
    assert ATTACK in text
    assert visit.page.locator(".pairs", has_text=ATTACK).count() > 0
    assert visit.page.locator("h1").inner_text() == planted.name
    visit.leave_program()
    visit.page.locator("#filter-family").select_option(label=ATTACK)
    visit.shown()
    visit.page.locator("#grouping").select_option(label="family")
    visit.settle()
    assert visit.page.locator("img").count() == 0
    assert visit.told == []
    assert visit.requests == []
    # Even what is put into the page by its own script is not run, and what asks for something is refused.
    for attempt in (
        "document.body.append(document.createRange().createContextualFragment('<script>alert(4)</script>'))",
        "fetch('https://example.com/').then(() => 'sent', (error) => String(error))",
    ):
        with visit.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            answer = visit.page.evaluate(attempt)
    assert answer.startswith("TypeError")
    assert not any(told.startswith("dialog") for told in visit.told)
    visit.close()


def test_a_damaged_text_is_refused(folder, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    forge(damaged, "train.parquet", rows_changed(lambda found: found[0].update(mlir="module {}")))
    with pytest.raises(UserError, match="is not the one of its sha256"):
        report_page([Dataset(damaged)])


def test_what_has_no_room_is_told(browser, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "PER_CHUNK", 8)
    monkeypatch.setattr("mlir_datagen.presentation.report.table.PER_CHUNK", 8)
    monkeypatch.setattr(assembly, "_TEXTS_BYTES", 10_000)
    monkeypatch.setattr(texts, "LONGEST_TEXT", 300)
    dataset = Dataset(folder)
    path = tmp_path / "report.html"
    path.write_bytes(report_page([dataset], [dataset_facts(dataset, most=50)]))
    visit = Visit(browser, path)
    told = visit.page.locator("#programs-remark").inner_text()
    having, texts_of = map(
        int, re.search(r"Of 80 programs, this page has (\d+),.* texts and graphs of (\d+)\.", told).groups()
    )
    assert 20 < having < 70
    assert 8 <= texts_of < having
    assert f"{having} of {having} programs" == visit.shown()
    seen = {"text": 0, "none": 0}
    for place in range(25):
        visit.page.evaluate(f"document.querySelectorAll('#table tbody tr')[{place}].click()")
        visit.page.wait_for_selector("dialog[open][data-shown]")
        body = visit.page.locator("#program-body").inner_text()
        seen["none" if "and not of this one" in body else "text"] += 1
        visit.leave_program()
        if all(seen.values()):
            break
    assert seen["none"]
    assert seen["text"]
    visit.close()
