"""Running a toolkit's model on pictures: its own test pipeline, then its own ``test_step``."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS
from torch import nn

from fdam_mm.data.pictures.endings import require_whole_jpeg
from fdam_mm.data.pictures.rows import picture_size
from fdam_mm.errors import ConfigError, UsageError
from fdam_mm.oriented.pipelines import unlabelled
from fdam_mm.test_time.config import merging, views
from fdam_mm.toolkits.scope import scope_of, toolkit_scope

from .building import test_dataset
from .loading import autocast_of

_BANDS = "LoadRaster"


class Predictor:
    """A model with its test pipelines, for files and for pixels.

    Args:
        model: From :func:`fdam_mm.apis.load_model`, or a toolkit's with its config in ``cfg``.
        tta: Augment as the config's ``tta_pipeline`` and ``tta_model`` say, else by flips; see
            :func:`fdam_mm.test_time.config.augment`.

    Raises:
        UsageError: The model has no config.
        ConfigError: The config has no test pipeline, or its views cannot be merged.
    """

    def __init__(self, model: nn.Module, tta: bool = False) -> None:
        config = getattr(model, "cfg", None)
        if not isinstance(config, Config):
            raise UsageError("the model has no config (model.cfg); load it with load_model")
        self.model, self.scope, self.tta = model, scope_of(config), tta
        with toolkit_scope(self.scope):
            steps = _test_pipeline(config)
            steps = unlabelled(views(config, steps) if tta else steps)
            self.reads_bands = reads_bands(config)
            self._from_file = Compose(copy.deepcopy(steps))
            from_array = dict(type="mmdet.LoadImageFromNDArray")
            if self.reads_bands:
                from_array = steps[0]  # which takes pixels that are there
            self._from_array = Compose([from_array, *steps[1:]])
            self._runner: Any = model
            if tta:
                self._runner = MODELS.build(dict(merging(config), module=model)).eval()

    @property
    def segments(self) -> bool:
        """Whether it is a segmentor of mmseg."""
        return self.scope == "mmseg"

    def __call__(self, sources: Iterable[dict[str, Any]]) -> list[Any]:
        """The data samples of pictures, in order; neighbours of one size go through together."""
        prepared = [self._prepare(source) for source in sources]
        samples: list[Any] = []
        for _, group in groupby(prepared, key=_shape):
            samples += self._forward(list(group))
        return samples

    def windows(
        self, windows: Iterable[tuple[int, np.ndarray]], batch_size: int
    ) -> Iterator[tuple[int, Any]]:
        """Index and data sample of each window, ``batch_size`` at a time."""
        batch: list[tuple[int, np.ndarray]] = []
        for index, pixels in windows:
            batch.append((index, np.ascontiguousarray(pixels)))
            if len(batch) == batch_size:
                yield from self._batch(batch)
                batch = []
        yield from self._batch(batch)

    def _batch(self, batch: Sequence[tuple[int, np.ndarray]]) -> Iterator[tuple[int, Any]]:
        samples = self(dict(img=pixels, img_id=index) for index, pixels in batch)
        yield from zip((index for index, _ in batch), samples, strict=True)

    def _prepare(self, source: dict[str, Any]) -> Any:
        """Raises PictureError where a file cannot be read, in place of the toolkit's words."""
        if "img" in source:
            return self._from_array(source)
        if self.reads_bands:
            return self._from_file(source)
        require_whole_jpeg(Path(source["img_path"]))
        try:
            return self._from_file(source)
        except Exception:
            picture_size(Path(source["img_path"]), whole=True)
            raise

    def _forward(self, batch: list[Any]) -> list[Any]:
        with torch.no_grad(), autocast_of(self.model):
            return list(self._runner.test_step(pseudo_collate(batch)))


def _shape(data: Any) -> Any:
    inputs = data["inputs"]
    return [tuple(x.shape) for x in inputs] if isinstance(inputs, list) else tuple(inputs.shape)


def reads_bands(config: Config) -> bool:
    """Whether the test pipeline takes all bands of a file, in their own numbers."""
    return str(_test_pipeline(config)[0]["type"]).endswith(_BANDS)


def _test_pipeline(config: Config) -> list[dict[str, Any]]:
    _, dataset = test_dataset(config)
    pipeline = dataset.get("pipeline") or config.get("test_pipeline")
    if not pipeline or not str(pipeline[0]["type"]).endswith(("LoadImageFromFile", _BANDS)):
        raise ConfigError(
            "the config's test_dataloader.dataset.pipeline must start with LoadImageFromFile or "
            "LoadRaster"
        )
    return pipeline
