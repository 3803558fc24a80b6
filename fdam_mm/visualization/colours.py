"""Colours for classes that have none."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

Colour = tuple[int, int, int]
_FIRST = (223, 32, 32)  # a red; the others follow from it
_STEPS = 9  # values of each of R, G and B that are tried


def full_palette(palette: Sequence[Sequence[int]] | str | None, num: int) -> tuple[Colour, ...]:
    """``num`` RGB colours: those of ``palette``, then distinct ones; a name has none.

    Each colour is the one farthest, in CIELAB, from those before it, of some 460 that are neither
    dark nor pale nor grey. The first n are the same for any ``num``; after those 460 they repeat.
    """
    given = [] if palette is None or isinstance(palette, str) else list(palette)
    known = tuple((int(r), int(g), int(b)) for r, g, b in given[:num])
    if len(known) == num:
        return known
    colours, lab = _tried()
    chosen = list(known or (_FIRST,))
    nearest = ((lab[:, None] - _to_lab(chosen)) ** 2).sum(-1).min(1)
    while len(chosen) < num:
        farthest = int(nearest.argmax())
        if not nearest[farthest]:
            return tuple((chosen * (num // len(chosen) + 1))[:num])
        chosen.append(colours[farthest])
        nearest = np.minimum(nearest, ((lab - lab[farthest]) ** 2).sum(-1))
    return tuple(chosen)


def with_palette(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's metainfo with a colour for each class.

    A palette that is a name, as the toolkits know some, stays.
    """
    palette, classes = metainfo.get("palette"), metainfo.get("classes") or ()
    if isinstance(palette, str) or len(palette or ()) >= len(classes):
        return dict(metainfo)
    return {**metainfo, "palette": list(full_palette(palette, len(classes)))}


@functools.cache
def _tried() -> tuple[list[Colour], np.ndarray]:
    """Colours to choose from, and the same in CIELAB (n, 3)."""
    levels = np.linspace(0, 255, _STEPS).round()
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    lab = _to_lab(grid)
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    kept = (lightness > 35) & (lightness < 90) & (chroma > 35)
    return [(int(r), int(g), int(b)) for r, g, b in grid[kept]], lab[kept]


def _to_lab(colours: Sequence[Colour] | np.ndarray) -> np.ndarray:
    """RGB of 0 to 255 (n, 3) as CIELAB (n, 3)."""
    rgb = np.asarray(colours, np.float32).reshape(1, -1, 3) / 255
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0])
