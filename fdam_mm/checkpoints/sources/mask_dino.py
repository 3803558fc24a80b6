"""The official Mask DINO models: a whole detector on ResNet or Swin, in detectron2's layout."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from fdam_mm.errors import CheckpointMismatchError

from ..log import log

_UNUSED = re.compile(r"criterion\.|pixel_(mean|std)$")  # training's, and what the config holds

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]  # what re.sub takes

_BACKBONE: list[_Rule] = [  # every rule once and in order, on the key without "backbone."
    (r"^stem\.", ""),
    (r"^res(\d)", lambda m: f"layer{int(m[1]) - 1}"),
    (r"conv(\d)\.norm", r"bn\1"),
    (r"shortcut\.norm", "downsample.1"),
    (r"shortcut", "downsample.0"),
]
_LAYER: list[_Rule] = [  # of both transformers
    (r"\.linear1\.", ".ffn.layers.0.0."),
    (r"\.linear2\.", ".ffn.layers.1."),
    (r"self_attn\.(in_proj|out_proj)", r"self_attn.attn.\1"),
]
_PIXEL_DECODER: list[_Rule] = [  # without "sem_seg_head.pixel_decoder."
    (r"^transformer\.", ""),
    *_LAYER,
    (r"\.norm1\.", ".norms.0."),
    (r"\.norm2\.", ".norms.1."),
    (r"^adapter_1\.(norm)?", lambda m: "lateral_conv." + ("gn" if m[1] else "conv.")),
    (r"^layer_1\.(norm)?", lambda m: "output_conv." + ("gn" if m[1] else "conv.")),
    (r"^mask_features", "mask_feature"),
]
_PREDICTOR: list[_Rule] = [  # without "sem_seg_head.predictor."
    (r"^enc_output_norm", "selection.norm"),
    (r"^enc_output", "selection.project"),
    (r"^class_embed", "cls_embed"),
    (r"^label_enc", "denoising.label_embed"),
    (r"^query_embed", "query_box"),
    (r"^decoder_norm", "decoder.norm"),  # one norm under two names
    (r"^_bbox_embed|^(decoder\.)?bbox_embed\.\d+", "bbox_embed"),  # one head under many
    *_LAYER,
    (r"\.norm2\.", ".norms.0."),  # after the self-attention, which comes first
    (r"\.norm1\.", ".norms.1."),
    (r"\.norm3\.", ".norms.2."),
]
_PARTS = [
    ("sem_seg_head.pixel_decoder.", "panoptic_head.pixel_decoder.", _PIXEL_DECODER),
    ("sem_seg_head.predictor.", "panoptic_head.", _PREDICTOR),
    ("backbone.", "backbone.", _BACKBONE),
]


def matches(state: Mapping[str, Tensor]) -> bool:
    return any(k.startswith("sem_seg_head.predictor.decoder.ref_point_head.") for k in state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every key is renamed, dropped and named in the log, or kept for the loader to refuse.

    Raises:
        CheckpointMismatchError: Heads that this model shares have different weights.
    """
    inputs = {k: v for k, v in state.items() if ".pixel_decoder.input_proj." in k}
    num_inputs = sum(k.endswith(".0.weight") and v.shape[-1] == 1 for k, v in inputs.items())
    converted: dict[str, Tensor] = {}
    unused = []
    for key, value in _convert_swin(state).items():
        if _UNUSED.match(key):
            unused.append(key)
            continue
        name = _rename(key, num_inputs)
        if name in converted and not torch.equal(converted[name], value):
            raise CheckpointMismatchError(
                f"{key} differs from another layer's: heads that are not shared by the layers "
                f"cannot be loaded into the one {name}"
            )
        converted[name] = value
    if unused:
        log(f"not used: {', '.join(unused)}")
    return converted


def _rename(key: str, num_inputs: int) -> str:
    for old, new, rules in _PARTS:
        if key.startswith(old):
            name = key.removeprefix(old)
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name, count=1)
            return new + _rename_input(name, num_inputs)
    return key


def _rename_input(name: str, num_inputs: int) -> str:
    """``input_proj.INDEX.0`` to the convolution of a backbone map, or of an extra level."""
    found = re.match(r"input_proj\.(\d+)\.([01])\.", name)
    if not found:
        return name
    index = int(found[1])
    conv = f"input_convs.{index}" if index < num_inputs else f"extra_convs.{index - num_inputs}"
    return f"{conv}.{('conv', 'gn')[int(found[2])]}.{name[found.end() :]}"


def _convert_swin(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A Swin backbone to mmdet's layout, which also orders the patches of a merging otherwise."""
    swin = {k.removeprefix("backbone."): v for k, v in state.items() if _is_swin(k)}
    if not swin:
        return dict(state)
    from mmdet.models.backbones.swin import swin_converter

    return {**{k: v for k, v in state.items() if not _is_swin(k)}, **swin_converter(swin)}


def _is_swin(key: str) -> bool:
    return key.startswith(("backbone.layers.", "backbone.patch_embed.", "backbone.norm"))
