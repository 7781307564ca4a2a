"""The licences that a dataset may be given: names of Hugging Face, and what SPDX calls the same licence.

Sources: https://huggingface.co/docs/hub/repositories-licenses and https://spdx.org/licenses/.
"""

from __future__ import annotations

DEFAULT_LICENSE = "apache-2.0"

_SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsl-1.0": "BSL-1.0",
    "isc": "ISC",
    "ncsa": "NCSA",
    "zlib": "Zlib",
    "postgresql": "PostgreSQL",
    "afl-3.0": "AFL-3.0",
    "artistic-2.0": "Artistic-2.0",
    "ecl-2.0": "ECL-2.0",
    "epl-2.0": "EPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only",
    "unlicense": "Unlicense",
    "wtfpl": "WTFPL",
    "cc0-1.0": "CC0-1.0",
    "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-nd-4.0": "CC-BY-ND-4.0",
    "cc-by-nc-nd-4.0": "CC-BY-NC-ND-4.0",
    "cdla-permissive-1.0": "CDLA-Permissive-1.0",
    "cdla-permissive-2.0": "CDLA-Permissive-2.0",
    "cdla-sharing-1.0": "CDLA-Sharing-1.0",
    "c-uda": "C-UDA-1.0",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
    "etalab-2.0": "etalab-2.0",
}

LICENSES = tuple(_SPDX)
"""As Hugging Face spells them, all of them with a text that SPDX has too."""


def license_url(name: str) -> str:
    """Return where the text of a licence is."""
    return f"https://spdx.org/licenses/{_SPDX[name]}.html"
