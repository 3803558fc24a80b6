"""Label maps: pictures whose stored pixels are numbers of classes."""

from pathlib import Path

import numpy as np
from PIL import Image

from fdam_mm.errors import PictureError

from .orientation import UPRIGHT, png_orientation
from .png_rows import SIGNATURE
from .rows import naming


def read_label_map(file: str | Path) -> np.ndarray:
    """Return the stored pixels as mmseg loads them: (H, W), or (H, W, C) where they are colours.

    A palette's pixels are its indices. mmseg does not turn label maps, while it turns pictures; so
    one with an orientation is refused.

    Raises:
        PictureError: It cannot be read, or has an orientation.
    """
    file = Path(file)
    with naming(file), file.open("rb") as stream:
        picture = Image.open(stream)
        picture.load()
        labels = np.asarray(picture)
        stream.seek(0)
        is_png = stream.read(len(SIGNATURE)) == SIGNATURE
        orientation = png_orientation(stream) if is_png else UPRIGHT
    if orientation != UPRIGHT:
        raise PictureError(
            f"{file}: label map with the EXIF orientation {orientation}, which mmseg does not "
            "apply, expected pixels that fit the picture as it is seen, without an orientation; "
            "save it again"
        )
    return labels
