"""apply_fdam's ``include`` and ``exclude``."""

import pickle

import pytest
from torch import nn

from fdam_mm import apply_fdam, remove_fdam
from fdam_mm.errors import UnservedError, UsageError
from fdam_mm.inject import Report

timm = pytest.importorskip("timm")
from support.timm_models import CASES, random_image  # noqa: E402

_ATTENTIONS = ["layers.0.blocks.0.attn", "layers.0.blocks.1.attn", "layers.1.blocks.0.attn"]
_BLOCKS = ["layers.0.blocks.0", "layers.0.blocks.1", "layers.1.blocks.0"]


def _swin() -> nn.Module:
    return CASES["swin"].build().eval()


def _places(report: Report) -> list[str]:
    return sorted({i.module for i in report.inserted})


@pytest.mark.parametrize(
    "include, exclude, expected",
    [
        ("*", None, [*_ATTENTIONS, *_BLOCKS]),
        ("layers.1.*", None, [_ATTENTIONS[2], _BLOCKS[2]]),
        ("layers.0.blocks.1", None, [_ATTENTIONS[1], _BLOCKS[1]]),  # the attention in it too
        (["layers.0.blocks.0", "layers.1.*"], None, [*_ATTENTIONS[::2], *_BLOCKS[::2]]),
        ("*.attn", None, _ATTENTIONS),
        (None, "*.attn", _BLOCKS),
        (None, "layers.0.blocks.[!0]", [*_ATTENTIONS[::2], *_BLOCKS[::2]]),
        ("layers.0.*", ("*.blocks.0",), [_ATTENTIONS[1], _BLOCKS[1]]),
        (None, [], [*_ATTENTIONS, *_BLOCKS]),
    ],
)
def test_what_gets_fdam(include, exclude, expected: list[str]) -> None:
    model = _swin()
    assert _places(apply_fdam(model, include=include, exclude=exclude)) == sorted(expected)
    model(random_image((64, 64)))
    remove_fdam(model)


@pytest.mark.parametrize("argument", ["include", "exclude"])
def test_a_pattern_that_matches_nothing_names_what_is_near(argument: str) -> None:
    model = _swin()
    before = pickle.dumps(model)
    with pytest.raises(
        UsageError, match=rf"{argument}: 'layer\.0\.block\.0'.*layers\.0\.blocks\.0"
    ):
        apply_fdam(model, **{argument: ["layers.1.*", "layer.0.block.0"]})
    with pytest.raises(UsageError, match=r"'patch_embed\*' matches.*; near it: layers\.0"):
        apply_fdam(model, **{argument: "patch_embed*"})
    assert pickle.dumps(model) == before


def test_patterns_that_leave_nothing() -> None:
    with pytest.raises(UsageError, match="leave no attention and no block"):
        apply_fdam(_swin(), include="layers.0.*", exclude="layers.*")
    with pytest.raises(UsageError, match="leave no attention and no block"):
        apply_fdam(_swin(), include=[])
    with pytest.raises(UnservedError, match="include and exclude leave.*no place for FreqScale"):
        apply_fdam(_swin(), att_inv=False, include="*.attn")
    with pytest.raises(TypeError, match="exclude must be a pattern"):
        apply_fdam(_swin(), exclude=3)


class OddAttention(nn.Linear):
    """Attention by name, and no adapter."""


def test_what_cannot_be_served_may_be_left_out() -> None:
    model = nn.ModuleDict(dict(swin=_swin(), head=nn.ModuleDict(dict(odd=OddAttention(8, 8)))))
    with pytest.raises(UnservedError, match=r"head\.odd"):
        apply_fdam(model)
    report = apply_fdam(model, exclude="head.*")
    assert report.problems == {} and report.count("AttInv") == 3
    remove_fdam(model)
    assert apply_fdam(model, include="swin.*").problems == {}


def test_the_grid_source_of_left_out_blocks_is_left_alone() -> None:
    model = CASES["vit"].build().eval()
    apply_fdam(model, include="*.attn")
    assert not model.patch_embed._forward_pre_hooks
    remove_fdam(model)
    apply_fdam(model, include="blocks.1")
    assert model.patch_embed._forward_pre_hooks
    model(random_image((64, 64)))
