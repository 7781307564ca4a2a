"""Networks of our own, as classes that configs name: these paths are part of datasets, and so stay what they are.

May import: no other package.
"""
