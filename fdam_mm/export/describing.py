"""What a runtime must know of a model, from its config."""

import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from fdam_mm.apis.building import reduces_zero_label, test_dataset
from fdam_mm.errors import ConfigError, ExportError
from fdam_mm.runtime.description import Description, Graph, Size, Suppression
from fdam_mm.toolkits.scope import scope_of
from fdam_mm.visualization.colours import full_palette

from .onnx_file import float32_modules
from .rotated import require_known

_PACKAGES = ("fdam_mm", "torch", "onnx", "onnxscript", "onnxruntime", "onedl-mmsegmentation")
_PASSED = (
    "LoadImageFromFile", "LoadAnnotations", "LoadPanopticAnnotations", "LoadCocoPanoptic",
    "PackSegInputs", "PackDetInputs", "Resize", "ConvertBoxType",
)  # fmt: skip


def describe(
    model: Any, graphs: tuple[Graph, ...], processing: bool, precision: str
) -> Description:
    """The description of a model that :func:`fdam_mm.apis.load_model` gave.

    Raises:
        ExportError: Its test pipeline or windows are such that no graph of ours does the same.
        ConfigError: It has no normalisation.
    """
    config, task = model.cfg, task_of(model)
    head = getattr(model, "decode_head", None)
    if processing and task == "instances":
        _require_instances(model.panoptic_fusion_head.test_cfg)
    scale, keep_ratio = _resizing(config) if processing else (None, True)
    mean, std, bgr_to_rgb = _normalisation(model)
    stride = window_stride(model)
    align_corners = bool(getattr(model, "align_corners", False))
    if processing and stride is not None and align_corners:
        raise ExportError(
            "the config predicts windows and has align_corners; expected one of them"
        )
    classes = tuple(str(name) for name in model.dataset_meta.get("classes") or ())
    return Description(
        task=task, name=_name(config), graphs=graphs, processing=processing,
        precision=precision, classes=classes,
        palette=full_palette(model.dataset_meta.get("palette"), len(classes)),
        offset=int(task == "segmentation" and reduces_zero_label(config)),
        threshold=float(head.threshold) if head and model.out_channels == 1 else None,
        scale=scale, keep_ratio=keep_ratio, stride=stride, mean=mean, std=std,
        bgr_to_rgb=bgr_to_rgb, align_corners=align_corners,
        suppression=_suppression(model) if task == "rotated" else None,
        float32=tuple(float32_modules(model)), versions=_versions(),
    )  # fmt: skip


def task_of(model: Any) -> str:
    """As :class:`Description` has it.

    Raises:
        ExportError: The model is of a kind that is not exported; says which are.
    """
    scope = scope_of(model.cfg)
    if scope == "mmseg" and hasattr(model, "encode_decode"):
        return "segmentation"
    head = getattr(model, "panoptic_fusion_head", None)
    if type(head).__name__ == "MaskDINOFusionHead":
        return "instances"
    if scope == "mmrotate":
        require_known(model)
        return "rotated"
    raise ExportError(
        f"{type(model).__name__} of {scope} cannot be exported; expected a segmentor of mmseg, "
        "Mask DINO or Oriented R-CNN"
    )


def _require_instances(settings: Mapping[str, Any]) -> None:
    """Of Mask DINO's results; raises ExportError where they are off."""
    if not settings["instance_on"]:
        raise ExportError(
            "Mask DINO is exported to instances, and test_cfg has instance_on=False; expected "
            "True, or export its queries: --raw"
        )
    if settings["panoptic_on"] or settings["semantic_on"]:
        print_log(
            "Mask DINO is exported to instances alone: its panoptic and semantic results are not",
            "current", logging.WARNING,
        )  # fmt: skip


def _suppression(model: Any) -> Suppression:
    settings = model.test_cfg.rcnn
    if settings.nms.type != "nms_rotated":
        raise ExportError(f"test_cfg.rcnn.nms is {settings.nms.type}, expected nms_rotated")
    return Suppression(
        float(settings.nms.iou_threshold), float(settings.score_thr), int(settings.max_per_img)
    )


def _name(config: Config) -> str:
    """The config's; of the ``config.py`` of a work folder the folder's."""
    file = Path(config.filename or "model")
    return file.parent.name if file.name == "config.py" and file.parent.name else file.stem


def window_stride(model: Any) -> Size | None:
    """Of the windows that the config predicts in; None where it takes whole pictures."""
    settings = getattr(model, "test_cfg", None) or {}
    if settings.get("mode", "whole") != "slide":
        return None
    down, right = model.test_cfg.stride
    return int(down), int(right)


def default_sizes(model: Any) -> list[Size]:
    """The windows' size, else what the config's preprocessor pads to or crops.

    Raises:
        ExportError: The config names none.
    """
    if window_stride(model) is not None:
        size = model.test_cfg.crop_size
    else:
        size = (model.cfg.model.get("data_preprocessor") or {}).get("size")
        size = size or model.cfg.get("crop_size")
    if size is None:
        raise ExportError("the config names no size of input; give one: --size HxW")
    return [(int(size[0]), int(size[1]))]


def _resizing(config: Config) -> tuple[Size | None, bool]:
    """Scale (width, height) and whether it keeps the ratio, of the config's test pipeline."""
    _, dataset = test_dataset(config)
    steps = dataset.get("pipeline") or config.get("test_pipeline") or []
    names = [str(step["type"]).rpartition(".")[2] for step in steps]
    if unknown := [name for name in names if name not in _PASSED]:
        raise ExportError(
            f"the test pipeline has {', '.join(unknown)}, which no graph of ours does; expected "
            f"{', '.join(_PASSED)}, or export without processing: --raw"
        )
    resizing = [step for step, name in zip(steps, names, strict=True) if name == "Resize"]
    if not resizing:
        return None, True
    scale = resizing[0].get("scale")
    if len(resizing) > 1 or scale is None or isinstance(scale, int):
        raise ExportError(f"the test pipeline resizes by {resizing}, expected one scale=(W, H)")
    return (int(scale[0]), int(scale[1])), bool(resizing[0].get("keep_ratio", False))


def _normalisation(model: Any) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    settings = model.cfg.model.get("data_preprocessor") or {}
    mean, std = settings.get("mean"), settings.get("std")
    if mean is None or std is None or len(mean) != 3:
        raise ConfigError(
            f"model.data_preprocessor has mean {mean} and std {std}, expected three numbers each"
        )
    return tuple(map(float, mean)), tuple(map(float, std)), bool(settings.get("bgr_to_rgb"))


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
