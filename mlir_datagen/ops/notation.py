"""The notation of structured operations: one line says what is read and written at a point of the iteration space.

It is einsum's, with spaces, and with windows:

    m k, k n -> m n
    n c h=oh*sh+kh*dh w=ow*sw+kw*dw, f c kh kw -> n f oh ow
    n c h=oh*sh+kh*dh w=ow*sw+kw*dw, [kh kw] -> n c oh ow

A word is a dimension of an operand. A name alone is a loop, and the dimension has its extent. `h=oh*sh+kh*dh` is a
dimension h of which the element at oh times the stride sh plus kh times the dilation dh is read, and `h=oh+kh` one
without either; how many positions oh has follows from the extent of h. In `m=mo*mi+mi` the window is a tile: its extent
is its stride. A window that the result has is written, and not summed up; one in the result itself says where along the
dimension an element is written. `h=i+1` is a dimension h of which the element after i is read: i has as many positions
as are inside, of all operands. `v@b` is a dimension v that is looked up: the element is read whose number the second
operand has at the point. An operand in brackets has a shape that counts, and no contents. `()` is a tensor without
dimensions whose element is given as a scalar, and `(f64)` one that has this element type whatever the others have. A
loop that the result does not have is a reduction. `+n` in the result is a loop that nothing is read along: what is read
is repeated.

The iteration space has the loops of the result first, and then the reductions in the order in which the operands name
them, a window its own where it stands, as linalg's named operations have, but for a few, for which the order is given.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

_SCALAR = re.compile(r"\((\w*)\)")
_DIMENSION = re.compile(r"(\w+)(?:=(\w+)(?:\*(\w+))?\+(\w+)(?:\*(\w+))?|@([a-z]))?")


class Window(NamedTuple):
    """What `h=oh*sh+kh*dh` says: at which position, how far apart, and where in the window at which dilation.

    Stride and dilation are None where they are always 1.
    """

    position: str
    stride: str | None
    offset: str
    dilation: str | None

    def stride_of(self, sizes: Mapping[str, Any]) -> Any:
        """Return its stride."""
        return 1 if self.stride is None else sizes[self.stride]

    def dilation_of(self, sizes: Mapping[str, Any]) -> Any:
        """Return its dilation."""
        return 1 if self.dilation is None else sizes[self.dilation]


class Shift(NamedTuple):
    """What `h=i+1` says: at which position, and how many elements after it, at least one."""

    position: str
    distance: int


class Dimension(NamedTuple):
    """A dimension of an operand: its name, which a loop has too unless something moves along it, or it is looked up.

    `looked_up_by` is the operand with the numbers of the elements: `a` is the first with contents.
    """

    name: str
    window: Window | None
    shift: Shift | None = None
    looked_up_by: str | None = None

    @property
    def position(self) -> str:
        """The loop that it is read along, of a window the one that says where that is."""
        moved = self.window or self.shift
        return self.name if moved is None else moved.position


class Access(NamedTuple):
    """What an operand of an operation is indexed with.

    Attributes:
        dimensions: of the operand.
        has_contents: false where only its shape counts.
        is_scalar: whether its only element is given, and not a tensor.
        dtype: its element type, where that does not depend on those of others.
    """

    dimensions: tuple[Dimension, ...]
    has_contents: bool
    is_scalar: bool = False
    dtype: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its dimensions."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def is_looked_up(self) -> bool:
        """Whether what is read of it follows from the contents of others: no map says which element that is."""
        return any(dimension.looked_up_by is not None for dimension in self.dimensions)


class Notation(NamedTuple):
    """A line, read.

    Attributes:
        inputs: what is read.
        result: what is written.
        loops: the names of the iteration space's dimensions, in order.
        windows: the windows, in the order of their dimensions.
        shifts: the shifts, in the order of their dimensions.
        line: what was read.
    """

    inputs: tuple[Access, ...]
    result: Access
    loops: tuple[str, ...]
    windows: tuple[tuple[str, Window], ...]
    shifts: tuple[tuple[str, Shift], ...]
    line: str

    @property
    def reductions(self) -> tuple[str, ...]:
        """The loops that the result does not have."""
        placed = {loop for _, window in self.placed for loop in (window.position, window.offset)}
        return tuple(loop for loop in self.loops if loop not in self.result.names and loop not in placed)

    @property
    def placed(self) -> tuple[tuple[str, Window], ...]:
        """The windows that say where the result is written, in the order of its dimensions."""
        return tuple((each.name, each.window) for each in self.result.dimensions if each.window is not None)

    @property
    def written_windows(self) -> frozenset[str]:
        """The loops inside of windows that the result has."""
        return frozenset(window.offset for _, window in self.windows if window.offset in self.result.names)

    @property
    def free(self) -> tuple[str, ...]:
        """The names whose sizes say everything: extents, as the operands name them, then strides, then dilations."""
        positions = [
            *(window.position for _, window in self.windows),
            *(shift.position for _, shift in self.shifts),
            *(name for name, _ in self.placed),
        ]
        named = dict.fromkeys(name for operand in (*self.inputs, self.result) for name in operand.names)
        extents = [name for name in named if name not in positions]
        strides = [window.stride for _, window in self.windows if window.stride is not None]
        dilations = [window.dilation for _, window in self.windows if window.dilation is not None]
        return tuple(dict.fromkeys([*extents, *strides, *dilations]))

    def add_positions(self, sizes: dict[str, Any]) -> dict[str, Any]:
        """Add those of the positions of windows and shifts to sizes, numbers or columns of them alike; return them."""
        for name, window in self.windows:
            span = dilated(sizes[window.offset], window.dilation_of(sizes))
            sizes[window.position] = (sizes[name] - span) // window.stride_of(sizes) + 1
        for name, shift in self.shifts:
            # As many as are inside of all that is read, also of an operand that has the position as its dimension.
            inside = sizes[name] - shift.distance
            sizes[shift.position] = min(inside, sizes.get(shift.position, inside))
        for name, window in self.placed:
            before = (sizes[window.position] - 1) * window.stride_of(sizes)
            sizes[name] = before + dilated(sizes[window.offset], window.dilation_of(sizes))
        return sizes


def dilated(window: Any, dilation: Any) -> Any:
    """Return how many elements a window spans from its first to its last."""
    return (window - 1) * dilation + 1


@lru_cache(maxsize=1024)
def read(line: str, loops: str = "") -> Notation:
    """Read a line.

    Args:
        line: in the notation that this module's text describes.
        loops: the iteration space's dimensions, where they are in another order than most operations have.

    Raises:
        ValueError: when it is no line; it quotes it.
    """
    sources, arrow, target = line.partition("->")
    if not arrow:
        raise ValueError(f"{line!r} has no -> between what is read and what is written")
    inputs = tuple(_operand(each) for each in sources.split(","))
    result = _operand(" ".join(word.removeprefix("+") for word in target.split()))
    written = [each.name for each in result.dimensions if each.window is None]
    repeated = [word[1:] for word in target.split() if word.startswith("+")]
    windows = tuple(
        (dimension.name, dimension.window)
        for operand in inputs
        for dimension in operand.dimensions
        if dimension.window is not None
    )
    shifts = tuple(
        (dimension.name, dimension.shift)
        for operand in inputs
        for dimension in operand.dimensions
        if dimension.shift is not None
    )
    read_along = [
        each.position if each.window is None else each.window.offset
        for operand in inputs
        for each in operand.dimensions
        if each.looked_up_by is None
    ]
    known = {*read_along, *(window.position for _, window in windows), *repeated}
    placed = [loop for each in result.dimensions if each.window for loop in (each.window.position, each.window.offset)]
    if unknown := [name for name in (*written, *placed) if name not in known]:
        raise ValueError(f"{line!r} writes along {unknown[0]!r}, which nothing is read along")
    followed = tuple(dict.fromkeys([*written, *read_along]))
    ordered = tuple(loops.split()) or followed
    if sorted(ordered) != sorted(followed):
        raise ValueError(f"the loops of {line!r} are {' '.join(followed)} in some order, and not {loops!r}")
    notation = Notation(inputs, result, ordered, windows, shifts, line)
    _check_lookups(notation)
    return notation


def _check_lookups(notation: Notation) -> None:
    """Check that what is looked up by is there, and that maps say the extents of all loops.

    Raises:
        ValueError: when it is not so; it quotes the line.
    """
    if not any(access.is_looked_up for access in (*notation.inputs, notation.result)):
        return
    line = notation.line
    if notation.windows or notation.shifts or notation.result.is_looked_up:
        raise ValueError(f"{line!r} looks something up where it writes, or beside a window or a shift")
    contents = [access for access in notation.inputs if access.has_contents]
    by_letter = dict(zip(string.ascii_lowercase, contents, strict=False))
    for letter in {each.looked_up_by for access in notation.inputs for each in access.dimensions} - {None}:
        if letter not in by_letter or by_letter[letter].is_looked_up:
            raise ValueError(f"{line!r} looks up by {letter!r}, which is no operand that a map says the element of")
    mapped = {
        name for access in (*notation.inputs, notation.result) if not access.is_looked_up for name in access.names
    }
    if unsaid := [loop for loop in notation.loops if loop not in mapped]:
        raise ValueError(
            f"{line!r} has the loop {unsaid[0]!r} in what it looks up alone, so that no map says its extent"
        )


def _operand(text: str) -> Access:
    text = text.strip()
    if scalar := _SCALAR.fullmatch(text):
        return Access((), True, is_scalar=True, dtype=scalar[1] or None)
    return Access(tuple(_dimension(word) for word in text.strip("[]").split()), not text.startswith("["))


def _dimension(word: str) -> Dimension:
    found = _DIMENSION.fullmatch(word)
    if found is None:
        raise ValueError(
            f"{word!r} is no dimension: a name, as in m, or with a window or a shift, as in h=oh*sh+kh*dh or h=i+1, "
            "or looked up, as in v@b"
        )
    name, position, stride, offset, dilation, letter = found.groups()
    if position is None:
        return Dimension(name, None, None, letter)
    if not offset.isdecimal():
        return Dimension(name, Window(position, stride, offset, dilation))
    if stride is not None or dilation is not None or int(offset) < 1:
        raise ValueError(f"{word!r} is no shift: it has the form h=i+1, by at least 1")
    return Dimension(name, None, Shift(position, int(offset)))
