"""What comes onto a dataset's card when the dataset is finished: measured times, and pictures.

Neither comes back byte for byte, so a card is compared without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mlir_datagen.dataset.card_head import config_entry
from mlir_datagen.dataset.paths import measurements_split
from mlir_datagen.errors import listed

MEASUREMENTS_CONFIG = "measurements"

_TIMES_HEADING = "\n## Times\n"
_TIMES_CONFIG = f"- config_name: {MEASUREMENTS_CONFIG}\n"
_HEAD_ENDS = "---\n\n# "
NO_PICTURES = "<!-- pictures -->\n<!-- end of pictures -->\n"
"""Where the pictures are put; every card has it once."""
_REPORT = "\n`report.html` has the programs and these figures to look through in a browser, from the disk.\n"
_PICTURES = re.compile(r"<!-- pictures -->\n.*?<!-- end of pictures -->\n", re.DOTALL)


def with_times(card: str, measurements: Mapping[str, Any]) -> str:
    """Return a card with what the manifest says of the measured times, in place of what it says of them now."""
    programs, disturbed = measurements["programs"], measurements.get("disturbed", 0)
    share = f"{disturbed / programs:.1%}" if programs else "none"
    processors = said_processors(measurements["machines"])
    card = without_times(card)
    files = {measurements_split(file): [file] for file in measurements["files"]}
    if files:
        entry = yaml.safe_dump([config_entry(MEASUREMENTS_CONFIG, files)], sort_keys=False)
        card = card.replace(_HEAD_ENDS, f"{entry}{_HEAD_ENDS}", 1)
    return f"""{card}{_TIMES_HEADING}
`measurements/` has the time of one call of {programs} programs, unoptimised, on one core of {processors}:
`datasets.load_dataset("path/of/this/folder", "{MEASUREMENTS_CONFIG}")` loads it, in the same splits.
The times of {disturbed} of them ({share}) are marked in the column `disturbed`: other work had the core throughout, or
the machine was slower than it can be.
"""


def said_processors(machines: Sequence[Mapping[str, Any]]) -> str:
    """Say what machines times are of; where there are several, how many are of which."""
    if len(machines) == 1:
        return str(machines[0]["cpu"])
    each = [f"{one['cpu']} (`{one['id']}`: {one['programs']})" for one in machines]
    return f"{listed(each)} (the column `machine` says which)" if each else "no machine"


def without_times(card: str) -> str:
    """Return a card without what it says of measured times."""
    card = card.partition(_TIMES_HEADING)[0]
    head, config, rest = card.partition(_TIMES_CONFIG)
    ends = rest.find(_HEAD_ENDS)
    return f"{head}{rest[ends:]}" if config and ends >= 0 else card


def with_pictures(card: str, pictures: Mapping[str, str]) -> str:
    """Return a card that shows pictures, in place of those that it shows now.

    Args:
        card: the card.
        pictures: what each shows, by its path.
    """
    shown = "".join(f"\n![{said}]({path})\n" for path, said in pictures.items())
    shown += _REPORT if shown else ""
    section = NO_PICTURES.replace("\n", f"\n{shown}\n", 1) if shown else NO_PICTURES
    return _PICTURES.sub(lambda _: section, card, count=1)


def bare_card(card: str) -> str:
    """Return all of a card that comes back byte for byte."""
    return with_pictures(without_times(card), {})
