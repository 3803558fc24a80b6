"""Colours for classes that have none."""

import colorsys
from collections.abc import Sequence

Colour = tuple[int, int, int]
_GOLDEN = 0.6180339887498949  # turns of the hue from one colour to the next: far apart for any n


def full_palette(palette: Sequence[Sequence[int]] | str | None, num: int) -> tuple[Colour, ...]:
    """``num`` RGB colours: those of ``palette``, then distinct ones; a name has none."""
    given = [] if palette is None or isinstance(palette, str) else list(palette)
    known = [(int(r), int(g), int(b)) for r, g, b in given[:num]]
    return tuple(known + [_colour(index) for index in range(len(known), num)])


def _colour(index: int) -> Colour:
    value = 1.0 if index % 2 else 0.75
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.75, value)
    return round(255 * red), round(255 * green), round(255 * blue)
