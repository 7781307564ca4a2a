"""What runs that end in the same bytes are compared by, and an emitter that has them make up for rejected programs."""

from __future__ import annotations

import hashlib


def broken_sometimes(real):
    """Emits programs of which some are rejected, so that later plans make up for them."""
    return lambda spec, form="named": "module {" if spec.fields["m"] in (8, 16) else real(spec, form)


def tree(dataset):
    """Return the digests of all files of a dataset."""
    files = {path.relative_to(dataset): path for path in dataset.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
