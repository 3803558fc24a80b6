"""Colours for classes that have none."""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

Colour = tuple[int, int, int]
_GOLDEN = 0.6180339887498949  # turns of the hue from one colour to the next: far apart for any n


def full_palette(palette: Sequence[Sequence[int]] | str | None, num: int) -> tuple[Colour, ...]:
    """``num`` RGB colours: those of ``palette``, then distinct ones; a name has none."""
    given = [] if palette is None or isinstance(palette, str) else list(palette)
    known = [(int(r), int(g), int(b)) for r, g, b in given[:num]]
    return tuple(known + [_colour(index) for index in range(len(known), num)])


def with_palette(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's metainfo with a colour for each class.

    A palette that is a name, as the toolkits know some, stays.
    """
    palette, classes = metainfo.get("palette"), metainfo.get("classes") or ()
    if isinstance(palette, str) or len(palette or ()) >= len(classes):
        return dict(metainfo)
    return {**metainfo, "palette": list(full_palette(palette, len(classes)))}


def _colour(index: int) -> Colour:
    value = 1.0 if index % 2 else 0.75
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.75, value)
    return round(255 * red), round(255 * green), round(255 * blue)
