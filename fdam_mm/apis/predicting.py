"""``predict``: one typed result per picture, lazily, in order."""

import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from fdam_mm.errors import UsageError

from .converting import Converter
from .inputs import find_pictures
from .picture import Picture
from .predictor import Predictor
from .results import Result
from .tiles.grid import TileGrid

_LARGE = 1 << 28  # pixels, above which labels lie in a temporary file


def predict(
    model: nn.Module,
    inputs: Any,
    batch_size: int = 1,
    tile: int | None = None,
    overlap: int | None = None,
    tta: bool = False,
    progress: bool = True,
) -> Iterator[Result]:
    """Predict pictures with a model of mmseg, mmdet or mmrotate.

    The config's test pipeline prepares them, so the numbers are those of ``tools/test.py``.

    Args:
        model: From :func:`load_model`.
        inputs: A file, a folder, a glob, an array (H, W, C) in BGR, a picture of Pillow, or a list
            of these. GeoTIFFs keep their place on the earth where rasterio is installed.
        batch_size: Pictures, or tiles, that go through the model together where sizes agree.
        tile: Side in pixels of the tiles that a larger picture is cut into; None never cuts.
            Take the size that the model was trained on.
        overlap: Pixels that neighbouring tiles share at least; None takes a quarter of the tile.
        tta: Test-time augmentation, as the config's ``tta_pipeline`` says, else by flips.
        progress: Show a bar of the pictures, and one of the tiles of each that is cut.

    Yields:
        A result for each picture, in order; the next picture is read when it is asked for.

    Raises:
        MissingFileError: A path does not exist, or a folder has no pictures.
        UsageError: An argument is out of range.
        PictureError: A picture cannot be read.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}, expected at least 1")
    if tile is not None:
        overlap = tile // 4 if overlap is None else overlap
        TileGrid.over((1, 1), tile, overlap)  # refuses what is out of range
    elif overlap is not None:
        raise UsageError(
            f"overlap is {overlap}, but nothing is cut: give tile, the side of a tile"
        )
    predictor = Predictor(model, tta)
    pictures = find_pictures(inputs, predictor.reads_bands)
    return _predict(model, predictor, pictures, batch_size, tile, overlap or 0, progress)


def _predict(
    model: nn.Module,
    predictor: Predictor,
    pictures: list[Picture],
    batch_size: int,
    tile: int | None,
    overlap: int,
    progress: bool,
) -> Iterator[Result]:
    converter = Converter(model)
    remaining = iter(pictures)
    with tqdm(total=len(pictures), unit="picture", disable=not progress) as bar:
        while batch := list(islice(remaining, 1 if tile else batch_size)):
            if tile is not None and max(batch[0].size) > tile:
                grid = TileGrid.over(batch[0].size, tile, overlap)
                results = [_tiled(predictor, converter, batch[0], grid, batch_size, progress)]
            else:
                samples = predictor(picture.source() for picture in batch)
                pairs = zip(batch, samples, strict=True)
                results = [converter(picture, sample) for picture, sample in pairs]
            for result in results:
                bar.update()
                yield result


def _tiled(
    predictor: Predictor,
    converter: Converter,
    picture: Picture,
    grid: TileGrid,
    batch_size: int,
    progress: bool,
) -> Result:
    tiles = predictor.windows(picture.windows(grid.windows()), batch_size)
    bar = tqdm(tiles, picture.name, len(grid), leave=False, unit="tile", disable=not progress)
    samples = iter(bar)
    if predictor.segments:
        labels = _empty(picture.size, converter.label_type)
        return converter.blend(picture, (s for _, s in samples), grid, labels)
    return converter.merge(picture, samples, grid)


def _empty(size: tuple[int, int], dtype: type) -> np.ndarray:
    """An array in memory, or in a temporary file that goes with it where it is large."""
    if size[0] * size[1] <= _LARGE:
        return np.zeros(size, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, mode="w+", shape=size)
