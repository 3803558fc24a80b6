"""The models of a config, alike but for FDAM, and a step of each.

Weights are random, nothing is loaded; every variant starts from the same seed.
"""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import Tensor, nn

from fdam_mm.errors import UsageError
from fdam_mm.training.config_errors import config_errors

from .textbook import as_textbook

Step = Callable[[], None]
Batch = tuple[Tensor, list[Any]]  # pictures (B, C, H, W) as the model takes them, data samples
_MMSEG = {
    "FDAMVisionTransformer": "VisionTransformer",
    "FDAMMixVisionTransformer": "MixVisionTransformer",
}


def build_variant(name: str, plain: Any, fdam: Any, device: str) -> nn.Module:
    """A model, or a backbone alone.

    Args:
        name: ``"plain"``, ``"fdam"``, ``"reference"`` (FDAM as the textbook has it) or ``"mmseg"``
            (mmseg's own backbone, which has no FDAM).
        plain: Settings without FDAM, of the model or of the backbone.
        fdam: The same with FDAM.
        device: Where.

    Raises:
        UsageError: ``"mmseg"`` of a backbone that mmseg does not have.
        ConfigError: The settings build no model.
    """
    settings = copy.deepcopy(fdam if name in ("fdam", "reference") else plain)
    torch.manual_seed(0)
    with config_errors("the model cannot be built", Config(dict(model=settings))):
        if name == "mmseg" and "backbone" in settings:
            settings.backbone = _of_mmseg(settings.backbone)
        elif name == "mmseg":
            settings = _of_mmseg(settings)
        model = MODELS.build(settings)
    model = revert_sync_batchnorm(model).to(device)
    return as_textbook(model) if name == "reference" else model


def _of_mmseg(settings: Any) -> dict[str, Any]:
    """mmseg's backbone in the place of ours, with those of the settings that it has."""
    kind = settings["type"]
    if kind not in _MMSEG:
        raise UsageError(f"mmseg has no {kind}; --against mmseg is for {', '.join(_MMSEG)}")
    import mmseg.models.backbones

    known = inspect.signature(getattr(mmseg.models.backbones, _MMSEG[kind])).parameters
    kept = {key: value for key, value in settings.items() if key in known}
    return dict(kept, type=f"mmseg.{_MMSEG[kind]}", init_cfg=None)


def backbone_step(backbone: nn.Module, pixels: Tensor, train: bool) -> Step:
    """A forward; where ``train``, also the backward of the outputs' sum."""

    def step() -> None:
        backbone.train(train)
        with torch.set_grad_enabled(train):
            outs = backbone(pixels)
        if train:
            sum(out.sum() for out in outs).backward()
            backbone.zero_grad()

    return step


def training_step(model: Any, batch: Batch) -> Step:
    """Forward, losses, backward and AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.05)

    def step() -> None:
        model.train()
        torch.manual_seed(0)  # the same samples of boxes and points for all
        pixels, samples = batch
        total, _ = model.parse_losses(model.loss(pixels, copy.deepcopy(samples)))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    return step


def inference_step(model: Any, batch: Batch) -> Step:
    """A prediction with its post-processing."""

    def step() -> None:
        model.eval()
        pixels, samples = batch
        with torch.no_grad():
            model.predict(pixels, copy.deepcopy(samples))  # it changes them

    return step
