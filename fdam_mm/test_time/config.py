"""Turning a config's test into one with test-time augmentation."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config

from fdam_mm.errors import ConfigError

_FLIPS = {  # what is the same picture of the same things
    "mmseg": ("RandomFlip", ["horizontal"]),
    "mmdet": ("RandomFlip", ["horizontal"]),
    "mmrotate": ("mmdet.RandomFlip", ["horizontal", "vertical", "diagonal"]),
}
_META = ("flip", "flip_direction")  # what merging needs to know of a view


def augment(config: Config) -> None:
    """Let ``config`` test every picture in several views and merge what is found.

    The views are the config's ``tta_pipeline``; without one, its test pipeline with the picture
    as it is and flipped. They are merged by its ``tta_model``; without one, mmseg's probabilities
    by their mean, boxes by the NMS of the model's ``test_cfg``.

    Raises:
        ConfigError: The config has neither, and they cannot be made of what it has.
    """
    model = merging(config)
    for dataset in list(_with_pipelines(config.test_dataloader.dataset)):
        dataset["pipeline"] = views(config, dataset["pipeline"])
    preprocessor = config.pop("data_preprocessor", None)
    if preprocessor:  # mmengine would give it to the merging model, in place of the model's own
        config.model.setdefault("data_preprocessor", preprocessor)
    config.model = dict(**model, module=config.model)


def merging(config: Config) -> dict[str, Any]:
    """Settings of the model that merges views, without its ``module``; see :func:`augment`."""
    model = config.get("tta_model") or _merging(config, config.default_scope)
    if _name(model["type"]) == "SegTTAModel":
        model = dict(model, type="MeanSegTTA")
    return model


def views(config: Config, pipeline: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The test pipeline that gives the views of a picture; see :func:`augment`."""
    return copy.deepcopy(config.get("tta_pipeline") or _flipped(pipeline, config.default_scope))


def _name(kind: str | type) -> str:
    """Of a ``type``, without a scope; pure-Python configs have the class itself."""
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__


def _merging(config: Config, scope: str) -> dict[str, Any]:
    if scope == "mmseg":
        return dict(type="MeanSegTTA")
    test = config.model.get("test_cfg") or {}
    test = test.get("rcnn") or test
    if not test.get("nms"):
        raise ConfigError(
            "views of a picture are merged by the nms of the model's test_cfg, and "
            f"that of {config.model.type} has none. Masks and panoptic segments are not merged; "
            "for other models set tta_model"
        )
    merging = dict(nms=test["nms"], max_per_img=test.get("max_per_img", 100))
    return dict(type="BoxTTA", tta_cfg=merging)


def _with_pipelines(dataset: Any) -> Iterator[dict[str, Any]]:
    """Settings of the data sets, inside their wrappers, that have a pipeline."""
    inner = dataset.get("datasets") or [d for d in [dataset.get("dataset")] if d]
    if not inner:
        yield dataset
    for part in inner:
        yield from _with_pipelines(part)


def _flipped(pipeline: Sequence[dict[str, Any]], scope: str) -> list[dict[str, Any]]:
    """The steps, with the views made before the last, which packs."""
    *steps, pack = pipeline
    if "Pack" not in _name(pack["type"]):
        raise ConfigError(
            f"views are flipped before the step that packs; the test pipeline ends with "
            f"{pack['type']}, so set tta_pipeline"
        )
    if "meta_keys" in pack:
        pack = dict(pack, meta_keys=(*pack["meta_keys"], *_META))
    kind, directions = _FLIPS[scope]
    flips = [dict(type=kind, prob=0.0)]
    flips += [dict(type=kind, prob=1.0, direction=direction) for direction in directions]
    return [*steps, dict(type="TestTimeAug", transforms=[flips, [pack]])]
