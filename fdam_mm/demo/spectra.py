"""What the layers of the page's models do to the frequencies of a picture."""

from collections.abc import Sequence

import numpy as np

from fdam_mm.errors import FDAMError
from fdam_mm.report.markup import Markup, element, join, text

from .models import Served
from .trying import reduced

_EXPLAINED = (
    ("High-frequency ratio", "share of the energy of a layer's output above a quarter of a turn "
     "for each step of its grid. "),
    ("Numbered charts", "ln |F| of each layer's output, its mean amplitude by frequency; 1 is π, "
     "half a period for each step. "),
    ("Layers", "those of the backbone, in the order in which it runs them."),
)  # fmt: skip


def spectra_of(models: Sequence[Served], pixels: np.ndarray, tile: int | None) -> Markup:
    """Charts of every layer of the models' backbones, a line for each model.

    Args:
        models: One or two. Why one cannot be measured stands in the place of its lines.
        pixels: The picture, (H, W, 3) uint8 BGR.
        tile: Where it is cut into tiles, the one in its middle is measured.
    """
    from fdam_mm.analysis.figures import amplitudes_by_layer, by_layer

    shown = reduced(pixels) if tile is None else _middle(pixels, tile)
    measured, refused = {}, []
    for model in models:
        try:
            measured[model.name] = model.measure(shown)
        except FDAMError as error:
            refused.append(element("p", f"{model.name}: {error}", class_="soft"))
    if not measured:
        return join(refused)
    ratio = by_layer(measured)["High-frequency ratio"]
    words = [
        element("p", join([element("b", head), Markup(": "), text(said)]))
        for head, said in _EXPLAINED
    ]
    return join([
        element("div", Markup(ratio), class_="ratio"),
        element("div", join([*refused, *words]), class_="words soft"),
        element("div", Markup(amplitudes_by_layer(measured)), class_="layers"),
    ])  # fmt: skip


def _middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """The square of at most this side in the middle of (H, W, 3)."""
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
