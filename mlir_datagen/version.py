"""The versions that a dataset is stamped with."""

PACKAGE_VERSION = "0.6.0"

GENERATOR_VERSION = 6
"""Goes up whenever the same config would give other bytes; it is part of every dataset's fingerprint."""

SCHEMA_VERSION = 2
"""The layout of `config.yaml` and `manifest.json`; goes up when an older reader could misread them."""
