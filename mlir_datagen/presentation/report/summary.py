"""The head of the page, which can be read without any script: what the datasets are, and how many of what they have."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.report.shared import Shared

_MOST_FAMILIES = 12
LETTERS = "AB"
"""What two datasets are called beside their names."""


def summary(facts: Sequence[Facts], shared: Shared | None) -> str:
    """Return the summary of datasets in HTML: numbers of each, and their programs by split and family.

    Args:
        facts: of one or two datasets.
        shared: what two have in common.
    """
    cards = "\n".join(_card(known, number if len(facts) > 1 else None) for number, known in enumerate(facts))
    return f'<div class="datasets">\n{cards}\n</div>\n{_shared(shared)}{_counts(facts)}'


def _card(facts: Facts, number: int | None) -> str:
    manifest = facts.manifest
    families = {family for counts in facts.families.values() for family, count in counts.items() if count}
    funnel, check = manifest["funnel"], manifest.get("check")
    level = check.get("level") if isinstance(check, Mapping) else None
    pairs = [
        ("Programs", _number(facts.programs)),
        ("Splits", ", ".join(facts.splits)),
        ("Families", _number(len(families))),
        ("Attempted", _number(funnel["attempted"])),
        *([("Checked by", str(level))] if level else []),
        *([("Times from", facts.processor)] if facts.processor else []),
        ("Generator", f"version {manifest['generator_version']}, seed {manifest['seed']}"),
        ("Digest", manifest["digest"][:16]),
    ]
    items = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in pairs)
    label = "" if number is None else f'<span class="which which-{number}">{LETTERS[number]}</span> '
    heading = f"<h2>{label}{_text(facts.name)}</h2>" if number is not None else ""
    tag = "div" if number is None else "section"
    return f'<{tag} class="dataset">{heading}<dl class="numbers">{items}</dl></{tag}>'


def _shared(shared: Shared | None) -> str:
    if shared is None:
        return ""
    how = "compared by what they compute" if shared.by_structure else "compared by their texts"
    return f'<p class="shared"><strong>{_number(shared.programs)}</strong> programs are in both datasets, {how}.</p>\n'


def _counts(facts: Sequence[Facts]) -> str:
    """Return the table of programs by family and split; with two datasets, beside each other with the difference."""
    columns = [(number, split) for number, known in enumerate(facts) for split in known.splits]
    totals = [Counter[str]() for _ in facts]
    for known, total in zip(facts, totals, strict=True):
        for counts in known.families.values():
            total.update(counts)
    order = [family for family, number in sum(totals, Counter()).most_common() if number]
    shown, others = (
        (order, []) if len(order) <= _MOST_FAMILIES + 1 else (order[:_MOST_FAMILIES], order[_MOST_FAMILIES:])
    )
    groups = [(family, [family]) for family in shown]
    groups += [(f"{len(others)} other families", others)] if others else []
    two = len(facts) > 1
    whose = ("A · ", "B · ") if two else ("",)
    head = "".join(f'<th scope="col">{whose[number]}{_text(split)}</th>' for number, split in columns)
    rows = []
    for label, families in [*groups, ("all", order)]:
        cells = "".join(
            f"<td>{_number(sum(facts[number].families[split].get(family, 0) for family in families))}</td>"
            for number, split in columns
        )
        if two:
            one, other = (sum(total[family] for family in families) for total in totals)
            cells += f"<td>{other - one:+,}</td>".replace("+0<", "0<")
        rows.append(f'<tr><th scope="row">{_text(label)}</th>{cells}</tr>')
    last = '<th scope="col">B - A</th>' if two else ""
    return (
        '<details class="counts"><summary>Programs by family and split</summary><div class="scrolled" tabindex="0" '
        'role="region" aria-label="Programs by family and split"><table><thead><tr><th scope="col">family</th>'
        f"{head}{last}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></details>\n"
    )


def _number(value: int) -> str:
    return f"{value:,}"


def _text(value: str) -> str:
    return html.escape(value)
