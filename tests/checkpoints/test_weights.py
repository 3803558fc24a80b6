"""Which part of a checkpoint are its weights, under which names, and what are none."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fdam_mm.checkpoints import (
    channels as input_channels,
)
from fdam_mm.checkpoints import (
    convert,
    fitting,
    load_pretrained,
    load_state,
    prefixes,
    weights,
)
from fdam_mm.errors import CheckpointError, CheckpointMismatchError
from fdam_mm.models.backbones import (
    FDAMMixVisionTransformer,
    FDAMVisionTransformer,
    LSKNet,
)

T = torch.ones(1)


class Backbone(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 2, 2)
        self.blocks = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    for module in (fitting, input_channels, prefixes, weights):
        monkeypatch.setattr(module, "log", lambda text, *_: texts.append(text))
    return texts


def saved(file: Path, content: Any) -> str:
    torch.save(content, file)
    return str(file)


@pytest.mark.parametrize("key", weights.WRAPPERS)
def test_every_wrapper(key: str, said: list[str]) -> None:
    assert list(convert({key: dict(a=T), "epoch": 3})) == ["a"]
    assert list(convert({key: dict(state_dict=dict(a=T))})) == ["a"]
    usual = key in ("state_dict", "model_state_dict", "model")
    assert bool(said) != usual and all(repr(key) in text for text in said)


def test_the_first_of_several_is_taken_and_said(said: list[str]) -> None:
    assert list(convert(dict(student=dict(s=T), teacher=dict(t=T)))) == ["t"]
    assert said == ["the weights are taken from the checkpoint's 'teacher'; it has student too"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (dict(state_dict={}), "it holds nothing where the weights"),
        ({}, "it holds nothing"),
        (dict(state_dict={1: T}), "the name of a weight is 1, a int; expected text"),
        ({None: T}, "the name of a weight is None"),
        (dict(state_dict=dict(a=T, b=None)), "'b' is a NoneType, expected a tensor"),
        (dict(state_dict=dict(a="text")), "'a' is a str"),
        (dict(state_dict=dict(a=[T])), "'a' is a list"),
        (dict(state_dict=dict(a=dict(b=T))), "'a' is a dict"),
        (dict(state_dict=[T]), "'state_dict' is a list"),
        (dict(state_dict=None, meta={}), "'state_dict' is a NoneType"),
        (dict(state_dict="x"), "'state_dict' is a str"),
        (dict(model=3.5), "'model' is a float"),
        ({"a": T, "module.a": T}, "both 'a' and 'module.a'"),
        (dict(a=T.to_sparse()), "'a' is a sparse, quantized or empty tensor"),
        (dict(a=T.expand(1 << 40)), "'a' is 4 bytes that claim to be 4398046511104"),
    ],
)
def test_what_is_no_weight(content: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"file.pth.*{message}") as info:
        convert(content, origin="file.pth")
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "_orig_mod.", "net.", "module._orig_mod.", "model.backbone.", "a.b.c."],
)
def test_prefixes_go_where_the_rest_fits(tmp_path: Path, prefix: str, said: list[str]) -> None:
    source, model = Backbone(), Backbone()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    load_pretrained(model, saved(tmp_path / "a.pth", dict(state_dict=state)))
    assert torch.equal(model.stem.weight, source.stem.weight)
    assert prefix == "module." or "is taken off" in said[0]
    converted = convert(state, keys=model.state_dict().keys())
    assert converted.keys() == model.state_dict().keys()


def test_a_backbone_among_other_parts(tmp_path: Path, said: list[str]) -> None:
    state = {f"model.backbone.{key}": value for key, value in Backbone().state_dict().items()}
    state |= {f"model.head.{index}": T for index in range(20)}
    load_pretrained(Backbone(), saved(tmp_path / "a.pth", state))
    assert said[0].endswith("names; 20 tensors elsewhere are not used")


@pytest.mark.parametrize("prefix", ["module.backbone", "module.backbone.", "backbone"])
def test_an_explicit_prefix_is_taken_as_it_is(tmp_path: Path, prefix: str) -> None:
    state = {f"module.backbone.{key}": value for key, value in Backbone().state_dict().items()}
    load_pretrained(Backbone(), saved(tmp_path / "a.pth", state), prefix=prefix)
    with pytest.raises(CheckpointMismatchError, match="no key under the prefix 'neck.'"):
        load_pretrained(Backbone(), saved(tmp_path / "a.pth", state), prefix="neck")


def test_what_a_pretraining_had_around(tmp_path: Path, said: list[str]) -> None:
    """MAE's decoder, DINOv2's mask and register tokens; but no block that the model lacks."""
    state = Backbone().state_dict()
    extra = dict.fromkeys(("mask_token", "decoder_pred.weight", "register_tokens"), T)
    load_pretrained(Backbone(), saved(tmp_path / "a.pth", state | extra))
    assert any("3 tensors have no place in the model and are not used: mask" in s for s in said)
    deeper = saved(tmp_path / "b.pth", state | extra | {"blocks.2.weight": T})
    with pytest.raises(CheckpointMismatchError, match="model does not take .1.: blocks.2.weight"):
        load_pretrained(Backbone(), deeper)
    with pytest.raises(CheckpointMismatchError, match="mask_token"):
        load_state(Backbone(), state | extra, "a.pth", fit="exact")


def test_unused_heads_are_said(said: list[str]) -> None:
    state = Backbone().state_dict() | {"auxiliary_head.a": T, "auxiliary_head.b": T}
    load_state(Backbone(), state, "a.pth", fit="exact")
    assert "a.pth: 2 tensors have no place" in said[1] and said[0].startswith("loaded 6 tensors")


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
@pytest.mark.parametrize("fit", ["pretrained", "finetune"])
def test_other_numbers_of_channels(channels: int, fit: str, said: list[str]) -> None:
    source, model = Backbone(), Backbone(channels)
    load_state(model, source.state_dict(), "rgb.pth", fit=fit)
    last = source.stem.weight[:, (channels - 1) % 3] * 3 / channels
    expected = source.stem.weight.sum(1) if channels == 1 else last
    torch.testing.assert_close(model.stem.weight[:, -1], expected)
    assert any(f"3 input channels became those of {channels}" in text for text in said)


@pytest.mark.parametrize(
    "build",
    [
        partial(
            FDAMVisionTransformer, 32, embed_dims=16, num_heads=2, num_layers=1, out_indices=0
        ),
        partial(FDAMMixVisionTransformer, embed_dims=8, num_layers=(1, 1, 1, 1)),
        partial(LSKNet, embed_dims=(8, 8, 8, 8), depths=(1, 1, 1, 1)),
    ],
)
def test_channels_of_our_backbones(build: Callable[..., nn.Module], said: list[str]) -> None:
    source, model = build(in_channels=3), build(in_channels=4)
    load_state(model, source.state_dict(), "rgb.pth", fit="pretrained")
    theirs, ours = (next(c for c in m.modules() if type(c) is nn.Conv2d) for m in (source, model))
    torch.testing.assert_close(ours.weight[:, 3], theirs.weight[:, 0] * 3 / 4)
    assert sum("became those of 4" in text for text in said) == 1


def test_channels_are_not_adapted_when_all_must_fit() -> None:
    with pytest.raises(CheckpointMismatchError, match="stem.weight"):
        load_state(Backbone(4), Backbone().state_dict(), "rgb.pth", fit="exact")
