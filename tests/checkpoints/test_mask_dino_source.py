"""Official Mask DINO checkpoints: every key, the tied ones, and those that do not fit."""

import json

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from support.golden import FOLDER
from torch import Tensor, nn

import fdam_mm.openmmlab  # noqa: F401  registers Mask DINO
from fdam_mm.checkpoints import convert, detect, load_state
from fdam_mm.errors import CheckpointMismatchError
from fdam_mm.toolkits.registration import register_toolkit

KEYS = json.loads((FOLDER / "maskdino_instance_4level.json").read_text())["keys"]
ENCODER = "sem_seg_head.pixel_decoder.transformer.encoder.layers.0"
PREDICTOR = "sem_seg_head.predictor"
T = torch.zeros(1)


def official(**changes: int) -> dict[str, Tensor]:
    """A state dict with the official keys and shapes that takes no memory."""
    state = {key: T.expand(shape) for key, shape, *_ in KEYS}
    if "classes" in changes:
        for key in (f"{PREDICTOR}.class_embed.weight", f"{PREDICTOR}.label_enc.weight"):
            state[key] = T.expand(changes["classes"], 256)
        state[f"{PREDICTOR}.class_embed.bias"] = T.expand(changes["classes"])
    for key in [k for k in state if "pixel_decoder" in k]:
        if "ffn" in changes and "linear" in key:
            shape = [changes["ffn"] if side == 2048 else side for side in state[key].shape]
            state[key] = T.expand(shape)
        if changes.get("levels") == 3 and "input_proj.3" in key:
            del state[key]
        if changes.get("levels") == 3 and "level_embed" in key:
            state[key] = T.expand(3, 256)
    return state


def coarse_first(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The order of the official 3-level models."""
    first, last = (f"sem_seg_head.pixel_decoder.input_proj.{i}.0.weight" for i in (0, 2))
    return {**state, first: state[last], last: state[first]}


def build(num_levels: int = 4, fine_first: bool = True, device: str = "cpu") -> nn.Module:
    init_default_scope("mmdet")
    register_toolkit("mmdet")
    decoder = dict(type="MaskDINOPixelDecoder", num_levels=num_levels, fine_first=fine_first)
    head = dict(type="MaskDINOHead", pixel_decoder=decoder)
    with torch.device(device):
        return MODELS.build(
            dict(type="MaskDINO", backbone=dict(type="ResNet", depth=50), panoptic_head=head)
        )


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build()


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {k: tuple(v.shape) for k, v in state.items() if "num_batches_tracked" not in k}


def test_every_key_has_a_place() -> None:
    state = official()
    assert detect(state) == "mask_dino"
    assert shapes(convert(state)) == shapes(build(device="meta").state_dict())


def test_unused_keys_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(
        "fdam_mm.checkpoints.sources.mask_dino.log", lambda text: said.append(text)
    )
    convert(official())
    assert said == ["not used: criterion.empty_weight"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.stem.conv1.norm.weight", "backbone.bn1.weight"),
        ("backbone.res3.1.conv2.norm.running_mean", "backbone.layer2.1.bn2.running_mean"),
        ("backbone.res5.0.shortcut.norm.bias", "backbone.layer4.0.downsample.1.bias"),
        (f"{ENCODER}.norm1.bias", "panoptic_head.pixel_decoder.encoder.layers.0.norms.0.bias"),
        (f"{PREDICTOR}.decoder.layers.3.norm2.bias",
         "panoptic_head.decoder.layers.3.norms.0.bias"),
        (f"{PREDICTOR}.decoder.layers.3.norm1.bias",
         "panoptic_head.decoder.layers.3.norms.1.bias"),
        ("backbone.layers.0.blocks.1.mlp.fc1.bias",
         "backbone.stages.0.blocks.1.ffn.layers.0.0.bias"),
        ("backbone.norm2.weight", "backbone.norm2.weight"),
        ("backbone.fc.weight", "backbone.fc.weight"),
        (f"{PREDICTOR}.query_feat.weight", "panoptic_head.query_feat.weight"),
        (f"{PREDICTOR}.query_embed.weight", "panoptic_head.query_box.weight"),
    ],
)  # fmt: skip
def test_keys(theirs: str, ours: str) -> None:
    """What has no place here keeps its name, and the loader refuses it."""
    assert list(convert({theirs: T}, source="mask_dino")) == [ours]


BOX_HEADS = ["_bbox_embed", "bbox_embed.0", "bbox_embed.8", "decoder.bbox_embed.4"]


@pytest.mark.parametrize("norm", ["decoder_norm", "decoder.norm"])
@pytest.mark.parametrize("box_head", BOX_HEADS)
def test_one_of_the_tied_names_is_enough(norm: str, box_head: str) -> None:
    whole = official()
    tied = ("bbox_embed.", "decoder_norm.", "decoder.norm.")
    state = {k: v for k, v in whole.items() if not any(name in k for name in tied)}
    kept = (f"{PREDICTOR}.{norm}.", f"{PREDICTOR}.{box_head}.")
    state |= {k: v for k, v in whole.items() if k.startswith(kept)}
    assert shapes(convert(state)) == shapes(convert(whole))


def test_heads_that_are_not_tied() -> None:
    state = official()
    key = f"{PREDICTOR}.bbox_embed.3.layers.0.bias"
    state[key] = torch.ones(256)
    with pytest.raises(CheckpointMismatchError, match=r"bbox_embed.* not shared by the layers"):
        convert(state)


def test_three_levels() -> None:
    state = coarse_first(official(levels=3))
    model = build(num_levels=3, fine_first=False, device="meta")
    ours, wanted = shapes(convert(state)), shapes(model.state_dict())
    assert ours.keys() == wanted.keys()
    inputs = [k for k in wanted if "input_convs" in k]
    assert {k: ours[k] for k in inputs} == {k: wanted[k] for k in inputs}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (official(classes=133), r"num_things_classes.*checkpoint \(133, 256\), model \(80, 256\)"),
        (official(ffn=1024), r"feedforward_channels .checkpoint \(1024, 256\)"),
        (official(levels=3), r"num_levels .* .checkpoint \(3, 256\), model \(4, 256\)"),
        (coarse_first(official()), "another order; set fine_first"),
        ({**official(), "backbone.extra": T}, "model does not take .1.: backbone.extra"),
    ],
    ids=["classes", "ffn", "levels", "order", "extra"],
)
def test_what_does_not_fit(model: nn.Module, state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointMismatchError, match=message):
        load_state(model, convert(state), "official.pth", fit="exact")
