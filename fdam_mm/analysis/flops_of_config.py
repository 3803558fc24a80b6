"""Parameters and FLOPs of the model that a config describes."""

from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from fdam_mm.apis.building import build_model
from fdam_mm.errors import UsageError
from fdam_mm.toolkits.scope import toolkit_scope

from .flops import Complexity, count


def default_shape(config: Config) -> tuple[int, int]:
    """Height and width that the config's preprocessor pads to, or that it crops.

    Raises:
        UsageError: The config names none.
    """
    size = (config.model.get("data_preprocessor") or {}).get("size") or config.get("crop_size")
    if size is None:
        raise UsageError("the config names no input size; give one: --shape H W")
    return tuple(size)


def count_config(settings: Any, scope: str, shape: tuple[int, int]) -> dict[str, Complexity]:
    """Count one input of ``shape``, see :func:`.flops.count`.

    Args:
        settings: The config's ``model``.
        scope: The toolkit.
        shape: Height and width in pixels.

    Raises:
        UsageError: The model cannot take such an input.
    """
    model = build_model(Config(dict(default_scope=scope, model=settings))).eval()
    image = torch.zeros(1, input_channels(model, settings), *shape)
    try:
        with toolkit_scope(scope):
            return count(model, lambda: run(model, scope, image))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the model cannot take an input of {shape[0]} x {shape[1]}: {reason}; set --shape"
        ) from error


def input_channels(model: nn.Module, settings: Any) -> int:
    """What the backbone's config says, else its first convolution."""
    named = settings.get("backbone", {}).get("in_channels")
    if isinstance(named, int):
        return named
    backbone = getattr(model, "backbone", model)
    first = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def num_proposals(settings: Any) -> int:
    return settings.test_cfg.rpn.max_per_img


def run(model: Any, scope: str, image: torch.Tensor) -> None:
    """The network alone: no post-processing."""
    if scope == "mmseg" and not isinstance(model.decode_head, nn.ModuleList):
        model.decode_head(model.extract_feat(image))  # mode="tensor" does it behind the counter
        return
    if scope == "mmseg":
        model(image, mode="tensor")
        return
    from mmdet.models import TwoStageDetector
    from mmdet.structures import DetDataSample

    shape = tuple(image.shape[-2:])
    sizes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), shape)
    sample = DetDataSample(metainfo=dict(**sizes, scale_factor=(1.0, 1.0)))
    if isinstance(model, TwoStageDetector):
        run_two_stages(model, image, sample)
    else:
        model(image, [sample], mode="tensor")


def run_two_stages(model: Any, image: torch.Tensor, sample: Any) -> None:
    """Always with the most proposals: how many there are depends on the weights, here random."""
    features = model.extract_feat(image)
    found = model.rpn_head.predict(features, [sample], rescale=False)[0]
    proposals = found[torch.arange(num_proposals(model)) % len(found)]
    model.roi_head(features, [proposals], [sample])
