"""No tensor of tokens x tokens: in no layer and no family of backbones, forward nor backward."""

from typing import Any

import pytest
import torch
from support.staged_families import FAMILIES
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fdam_mm.benchmarking.layers import make_block
from fdam_mm.models import FDAMMixVisionTransformer, FDAMVisionTransformer, LSKNet

FDAM = dict(att_inv=True, freq_scale=True)
WINDOW = 64  # tokens of the largest window, and the sides of Fourier's matrices
BACKBONES = {
    "vit": (
        FDAMVisionTransformer,
        dict(img_size=(144, 176), embed_dims=48, num_layers=2, num_heads=3, out_indices=(0, 1)),
    ),
    "mit": (
        FDAMMixVisionTransformer,
        dict(embed_dims=16, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 4, 4)),
    ),
    "lsknet": (
        LSKNet,
        dict(embed_dims=(16, 32, 64, 64), depths=(1, 1, 1, 1), mlp_ratios=(2, 2, 2, 2)),
    ),
    **FAMILIES,
}


class _Squares(TorchDispatchMode):
    """Notes every operation that gives a tensor with two like sides, longer than a window and of
    no parameter of ``module``."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.sides = {side for p in module.parameters() for side in p.shape}
        self.found: set[tuple[str, tuple[int, ...]]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.numel() > WINDOW**2:
                shape = tuple(leaf.shape)
                like = {side for side in shape if shape.count(side) > 1 and side > WINDOW}
                if like - self.sides:
                    self.found.add((str(func), shape))
        return out


def squares(module: nn.Module, *inputs: Any) -> set[tuple[str, tuple[int, ...]]]:
    """Those of a forward and a backward of ``module``."""
    with _Squares(module) as noted:
        out = module(*inputs)
        outs = [out] if isinstance(out, Tensor) else out
        torch.autograd.backward([o.sum() for o in outs])
    return noted.found


@pytest.mark.parametrize("family", BACKBONES)
def test_backbones(family: str) -> None:
    torch.manual_seed(0)
    kind, settings = BACKBONES[family]
    model = kind(**settings, fdam=FDAM).train()
    assert not squares(model, torch.randn(1, 3, 144, 176))  # 99 tokens by patches of 16


def test_the_textbook_has_one() -> None:
    block, x = make_block("vit", 64, "reference"), torch.randn(1, 99, 64)
    assert any(shape == (1, 1, 99, 99) for _, shape in squares(block, x, (9, 11)))
    assert not squares(make_block("vit", 64, "fdam"), x, (9, 11))
