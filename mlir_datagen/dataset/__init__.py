"""The dataset's folder: the only place that writes files."""
