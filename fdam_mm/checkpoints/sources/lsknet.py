"""The authors' LSKNet: its ImageNet files, and detectors of mmrotate 0.x with it.

Neck and heads keep their keys: Oriented R-CNN's are the same in mmrotate 0.x and 1.x.
"""

from collections.abc import Mapping

from torch import Tensor

from .renaming import drop_prefixes, has_component, rename, rename_stage

_PARTS = {"patch_embed": "patch_embed", "block": "blocks", "norm": "norm"}
_NAMES = {
    "patch_embed.proj": "proj",
    "patch_embed.norm": "proj_norm",
    "layer_scale_1": "gamma_1",
    "layer_scale_2": "gamma_2",
    "proj_1": "proj_in",
    "proj_2": "proj_out",
    "spatial_gating_unit.conv0": "context.near",
    "spatial_gating_unit.conv_spatial": "context.far",
    "spatial_gating_unit.conv1": "context.near_proj",
    "spatial_gating_unit.conv2": "context.far_proj",
    "spatial_gating_unit.conv_squeeze": "context.select",
    "spatial_gating_unit.conv": "context.proj",
    "dwconv.dwconv": "dwconv",
}


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("spatial_gating_unit.conv_squeeze",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier and mmcv's ``ema_*`` buffers.

    mmcv swaps them before it saves: the averaged weights are those with the plain keys.
    """
    converted = {}
    for key, value in drop_prefixes(state, ("head.", "ema_")).items():
        if in_stage := rename_stage(key, "stages", _PARTS):
            converted.update(rename({in_stage: value}, _NAMES))
        else:
            converted[key] = value
    return converted
