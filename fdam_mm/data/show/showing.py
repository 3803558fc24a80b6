"""Contact sheets and histograms of one split of a config."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS

from fdam_mm.data.check.problems import Progress
from fdam_mm.data.guards.building import naming_unreadable_sets
from fdam_mm.data.guards.datasets import plain_datasets
from fdam_mm.data.guards.samples import same_randomness
from fdam_mm.data.loading.raster import loads_bands
from fdam_mm.errors import ConfigError
from fdam_mm.files import write_atomically
from fdam_mm.toolkits.patches.sample_errors import name_files_in_errors
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
from fdam_mm.training.randomness import reseed
from fdam_mm.visualization.colours import full_palette
from fdam_mm.visualization.histograms import class_and_size_histograms
from fdam_mm.visualization.overlay import with_legend
from fdam_mm.visualization.rotated_boxes import Colour
from fdam_mm.visualization.sheets import Tile, contact_sheet

from .samples import Sample, sample_of
from .statistics import Statistics, statistics

_SIDE, _SMALL = 320, 170  # pixels of a tile
_COLUMNS, _OF_CLASS = 4, 6  # tiles in a row
_CANDIDATES = 12  # samples of which a row is chosen
_ROWS = 16  # classes on a sheet


def show_data(
    config: Config,
    out: Path,
    split: str = "train",
    count: int = 32,
    seed: int = 0,
    progress: Progress = iter,
) -> list[Path]:
    """Write pictures of what a model is given: after the config's own pipeline, labels on them.

    ``samples.png`` has ``count`` samples, ``rarest.png`` those with the rarest classes,
    ``classes_1.png`` and so on a row for each class, with its labels alone, ``histograms.png`` the
    numbers and sizes.

    Args:
        config: A loaded config.
        out: Folder, which is made; files of these names are replaced.
        split: "train", "val" or "test".
        count: Samples on a sheet.
        seed: Of the choice and of the augmentation.
        progress: Wraps the list of pictures whose labels are counted.

    Returns:
        The files.

    Raises:
        ConfigError: The split has no data set, or its pipeline gives no sample.
        DataError: A picture or label file is broken; names it.
    """
    with toolkit_scope(scope_of(config)):
        dataset = _dataset(config, split)
        counts = statistics(dataset, progress)
        classes = tuple(dataset.metainfo.get("classes") or ())
        palette = full_palette(dataset.metainfo.get("palette"), len(classes))
        shown = _Shown(dataset, classes, palette, seed)
        files = [_write(out / "samples.png", shown.sheet(_spread(len(dataset), count, seed)))]
        rare = _rarest(counts, count)
        if rare:
            files.append(_write(out / "rarest.png", shown.sheet(rare)))
        for number, sheet in enumerate(_class_sheets(shown, counts), start=1):
            files.append(_write(out / f"classes_{number}.png", sheet))
    names = [*classes]
    amounts = [counts.amounts[label] for label in range(len(names))]
    title = f"{split}: {counts.counted} of {counts.total} pictures, before augmentation"
    png = class_and_size_histograms(names, amounts, counts.unit, counts.sides, title)
    write_atomically(out / "histograms.png", png)
    return [*files, out / "histograms.png"]


class _Shown:
    """Samples of a data set as tiles."""

    def __init__(
        self, dataset: Any, classes: Sequence[str], palette: Sequence[Colour], seed: int
    ) -> None:
        self._dataset, self.classes, self.palette = dataset, classes, palette
        self._seed = seed

    def sample(self, index: int) -> tuple[Sample, str]:
        """One sample behind the pipeline, and its picture's name; the same at each call."""
        with same_randomness():
            reseed(self._seed, index)
            packed = self._dataset[index]
        meta = packed["data_samples"].metainfo
        plain = list(plain_datasets(self._dataset))
        bands = any(map(loads_bands, plain))
        size = meta.get("ori_shape") if any(map(_resizes_first, plain)) else None
        name = Path(str(meta.get("img_path", index))).name
        return sample_of(packed, len(self.classes), bands, size), name

    def sheet(self, indices: Sequence[int]) -> np.ndarray:
        """A contact sheet with the classes' colours below."""
        tiles, present = [], set[int]()
        for index in indices:
            sample, name = self.sample(index)
            height, width = sample.image.shape[:2]
            text = f"{name} {width}x{height}"
            tiles.append(Tile(sample.draw(self.classes, self.palette), text))
            present |= sample.present()
        sheet = contact_sheet(tiles, min(_COLUMNS, len(tiles)), _SIDE)
        return with_legend(sheet, self.classes, self.palette, np.array(sorted(present), int))

    def of_class(self, label: int, indices: Sequence[int]) -> list[Tile]:
        """Tiles with one class's labels: of the samples those with the most of it."""
        tiles: list[tuple[float, Tile]] = []
        for index in indices:
            sample, name = self.sample(index)
            if share := sample.share(label):
                drawn = sample.draw(self.classes, self.palette, only=label)
                tiles.append((share, Tile(drawn, name)))
        tiles.sort(key=lambda tile: -tile[0])
        return [tile for _, tile in tiles[:_OF_CLASS]]


def _dataset(config: Config, split: str) -> Any:
    loader = config.get(f"{split}_dataloader") or {}
    if not loader.get("dataset"):
        raise ConfigError(f"the config has no {split}_dataloader.dataset; name another --split")
    with naming_unreadable_sets(loader):
        dataset = DATASETS.build(copy.deepcopy(loader["dataset"]))
        if hasattr(dataset, "full_init"):
            dataset.full_init()
    for plain in plain_datasets(dataset):
        if hasattr(plain, "prepare_data"):
            name_files_in_errors(plain)
    return dataset


def _spread(length: int, count: int, seed: int) -> list[int]:
    """Indices by chance, without one twice, in their order."""
    chosen = np.random.default_rng(seed).permutation(length)[:count]
    return sorted(chosen.tolist())


def _rarest(counts: Statistics, count: int) -> list[int]:
    """Pictures with the rarest classes, of each class in turn; no picture twice."""
    chosen: dict[int, None] = {}
    listed = [counts.of_class[label] for label in counts.rarest()]
    for place in range(max(map(len, listed), default=0)):
        for indices in listed[: max(1, len(listed) // 3)]:
            if place < len(indices) and len(chosen) < count:
                chosen[indices[place]] = None
    return list(chosen)


def _class_sheets(shown: _Shown, counts: Statistics) -> Iterator[np.ndarray]:
    """Sheets with a row for each class that is there."""
    rows: list[tuple[str, list[Tile]]] = []
    for label in sorted(counts.of_class):
        indices = counts.of_class[label]
        step = max(1, len(indices) // _CANDIDATES)
        tiles = shown.of_class(label, indices[::step][:_CANDIDATES])
        if tiles:
            rows.append((shown.classes[label], tiles))
    blank = Tile(np.full((8, 8, 3), 255, np.uint8), "")
    for start in range(0, len(rows), _ROWS):
        page = rows[start : start + _ROWS]
        tiles = [t for _, row in page for t in [*row, *[blank] * (_OF_CLASS - len(row))]]
        yield contact_sheet(tiles, _OF_CLASS, _SMALL, [name for name, _ in page])


def _write(file: Path, image: np.ndarray) -> Path:
    write_atomically(file, cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    return file


def _resizes_first(dataset: Any) -> bool:
    """Whether pictures are resized before their labels are read, which are not, as tests do."""
    names = [type(step).__name__ for step in dataset.pipeline.transforms]
    labels = [i for i, name in enumerate(names) if i and name.startswith("Load")]
    return bool(labels) and "Resize" in names[: labels[0]]
