"""The models that ``fdam new`` starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fdam_mm.data.own import Task
from fdam_mm.errors import UsageError

_BOTH = dict(att_inv=True, freq_scale=True)
_OF_TIMM = dict(pretrained=False)
_NO_FILE = dict(init_cfg=None)
# Batch statistics of one or two pictures are poor, frozen ones of drawn weights explode.
_GROUPS = dict(norm_cfg=dict(type="GN", num_groups=32, requires_grad=True))


@dataclass(frozen=True)
class Model:
    """A shipped base and its recipe.

    Attributes:
        base: Of ``configs/_base_``.
        title: For people.
        tasks: That it is for.
        rate, batch: Learning rate and total batch of the recipe, from pretrained weights.
        side: Largest crop of the recipe in pixels.
        gib: What a picture of 512 x 512 is reckoned to need in a training step.
        weights: File of pretrained weights, relative to where the training starts; None where
            they come by themselves.
        settings: More of the backbone's.
        drawn: Settings of the backbone that start it from drawn weights: no checkpoint, norms
            that are trained, nothing frozen.
        drawn_rates: Of the optimizer's ``paramwise_cfg``, from drawn weights: the backbone learns
            as the heads do.
        scratch: Start from drawn weights, whatever weights are there.
        heads: Settings of the heads, by their names, that the backbone's channels ask for.
        neck: A pyramid for a plain ViT, None to leave the base's.
        fdam: The layers that our configs of this model put in.
        fdam_in: Keys of the model's config that lead to where ``fdam`` belongs.
    """

    base: str
    title: str
    tasks: tuple[str, ...]
    rate: float
    batch: int
    side: int
    gib: float
    weights: str | None = None
    settings: Mapping[str, Any] | None = None
    drawn: Mapping[str, Any] = field(default_factory=lambda: dict(_NO_FILE))
    drawn_rates: Mapping[str, Any] | None = None
    scratch: bool = False
    heads: Mapping[str, Mapping[str, Any]] | None = None
    neck: Mapping[str, Any] | None = None
    fdam: Mapping[str, bool] = field(default_factory=lambda: dict(_BOTH))
    fdam_in: tuple[str, ...] = ("backbone",)

    @property
    def pretrained(self) -> bool:
        """Whether it would start from pretrained weights, here and now."""
        if self.scratch:
            return False
        return self.weights is None or Path(self.weights).is_file()

    @property
    def backbone(self) -> dict[str, Any]:
        """Its settings, without FDAM."""
        settings = dict(self.settings or {})
        if not self.pretrained:
            return settings | dict(self.drawn)
        if self.weights is None:
            return settings
        return settings | dict(init_cfg=dict(type="Pretrained", checkpoint=self.weights))


MODELS = {
    "segformer-b0": Model(
        "own_segformer-b0", "SegFormer-B0", ("semantic",), 6e-5, 16, 512, 1.0,
        "pretrain/mit_b0_20220624-7e0fe6dd.pth", heads={"decode_head": {}},
    ),
    "deit3-b": Model(
        "own_deit3-b", "UperNet on DeiT-III-B", ("semantic",), 6e-5, 16, 512, 4.0,
        "pretrain/deit_3_base_224_21k.pth", heads={"decode_head": {}, "auxiliary_head": {}},
        drawn_rates=dict(layer_decay=1.0),
    ),
    "mask-dino-r50": Model(
        "own_mask-dino-r50", "Mask DINO (ResNet-50)", ("instance", "panoptic"), 1e-4, 16, 1024,
        4.0, fdam_in=("panoptic_head", "pixel_decoder"),
        drawn=dict(_NO_FILE, frozen_stages=-1, norm_eval=False, **_GROUPS),
        drawn_rates=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))),
    ),
    "mask-dino-tiny": Model(
        "own_mask-dino-tiny", "Small Mask DINO", ("instance", "panoptic"), 2e-4, 16, 512, 1.0,
        fdam_in=("panoptic_head", "pixel_decoder"), drawn={}, scratch=True,
    ),
    "lsknet-s-oriented": Model(
        "own_lsknet-s-oriented", "Oriented R-CNN (LSKNet-S)", ("oriented",), 1e-4, 8, 1024, 2.5,
        "pretrain/lsk_s_backbone.pth", fdam=dict(freq_scale=True), drawn=dict(_NO_FILE, **_GROUPS),
    ),
}  # fmt: skip
DEFAULTS = {
    "semantic": "segformer-b0",
    "instance": "mask-dino-r50",
    "panoptic": "mask-dino-r50",
    "detection": "timm:swin_tiny_patch4_window7_224",
    "oriented": "lsknet-s-oriented",
}
_DRAWN_DEFAULTS = {"instance": "mask-dino-tiny", "panoptic": "mask-dino-tiny"}
"""From drawn weights, where the model of ``DEFAULTS`` would take days."""


def find_model(name: str | None, task: Task, scratch: bool = False) -> Model:
    """The model of a name, or the one that fits the task; with ``scratch`` from drawn weights.

    Raises:
        UsageError: There is no such model, or it is for another task, or none is for the task.
    """
    known = [*MODELS, "timm:NAME"]
    if name is None:
        if task not in DEFAULTS:
            raise UsageError(f"the labels are for {task}, and fdam new has no model for it yet")
        name = (_DRAWN_DEFAULTS if scratch else {}).get(task, DEFAULTS[task])
    model = MODELS.get(name)
    if name.startswith("timm:"):
        model = _of_timm(name.removeprefix("timm:"), task)
    if model is None:
        raise UsageError(f"--model {name}, expected one of {', '.join(known)}")
    if task not in model.tasks:
        raise UsageError(f"--model {name} is for {', '.join(model.tasks)}, the labels for {task}")
    base = f"{model.base}-panoptic" if task == "panoptic" else model.base
    return replace(model, base=base, scratch=scratch or model.scratch)


def _of_timm(name: str, task: Task) -> Model:
    """With its maps' channels, which timm says without weights.

    Raises:
        UsageError: timm has no such model, or its maps make no pyramid.
    """
    import timm
    import torch

    try:
        with torch.device("meta"):
            info: Any = timm.create_model(name, pretrained=False, features_only=True).feature_info
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"--model timm:{name}: {reason}; timm.list_models() has the names") from (
            error
        )
    channels, strides = info.channels(), info.reduction()
    if task == "detection":
        return _detector_of_timm(name, channels, strides)
    if len(set(strides)) == 1:  # a plain ViT: a map after every quarter of the blocks
        with torch.device("meta"):
            whole: Any = timm.create_model(name, pretrained=False)
        depth = len(whole.blocks)
        indices = tuple(depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4))
        width, neck = channels[-1], dict(type="ViTPyramid", embed_dims=channels[-1])
        maps = [width] * 4
    else:
        kept = list(range(len(channels)))[-4:]
        indices, neck = tuple(kept), None
        maps = [channels[i] for i in kept]
    if len(maps) != 4:
        raise UsageError(f"--model timm:{name} has {len(maps)} maps, UperNet needs 4")
    return Model(
        "own_timm", f"UperNet on timm's {name}", ("semantic",), 6e-5, 16, 512, 3.0,
        settings=dict(model_name=name, out_indices=indices, pretrained=True), drawn=_OF_TIMM,
        heads={
            "decode_head": dict(in_channels=maps),
            "auxiliary_head": dict(in_channels=maps[2]),
        },
        neck=neck,
    )  # fmt: skip


def _detector_of_timm(name: str, channels: list[int], strides: list[int]) -> Model:
    """Raises UsageError where its maps have not the strides of the pyramid's levels."""
    wanted = [4, 8, 16, 32]
    if not set(wanted) <= set(strides):
        raise UsageError(
            f"--model timm:{name} has maps of strides {strides}, boxes need {wanted}: take a "
            "hierarchical model such as swin, pvt_v2, maxvit"
        )
    indices = tuple(strides.index(stride) for stride in wanted)
    return Model(
        "own_timm-boxes", f"Faster R-CNN on timm's {name}", ("detection",), 1e-4, 16, 800, 3.0,
        settings=dict(model_name=name, out_indices=indices, pretrained=True), drawn=_OF_TIMM,
        neck=dict(in_channels=[channels[index] for index in indices]),
    )  # fmt: skip
