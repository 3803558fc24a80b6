"""Neighbourhood attention by tiles against one dense attention with a mask."""

import pytest
import torch
from torch import Tensor

from fdam_mm.layers.neighbourhood import (
    _patterns,
    by_natten,
    cut_axis,
    natten_functions,
    neighbourhood_attention,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def dense(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """The definition: all pairs of positions, those outside of the window masked."""
    (height, width), kernel_size = q.shape[2:4], (bias.shape[-1] + 1) // 2

    def axis(length: int) -> tuple[Tensor, Tensor]:
        position = torch.arange(length)
        residue, index = position % dilation, position // dilation
        size = (length - residue + dilation - 1) // dilation  # of the position's class
        start = (index - kernel_size // 2).clamp(min=0).minimum(size - kernel_size)[:, None]
        seen = (residue[:, None] == residue) & (index >= start) & (index < start + kernel_size)
        offset = (index - index[:, None] + kernel_size - 1).clamp(0, 2 * kernel_size - 2)
        return seen, offset

    (seen_h, offset_h), (seen_w, offset_w) = axis(height), axis(width)
    seen = seen_h[:, None, :, None] & seen_w[None, :, None, :]
    added = bias[:, offset_h[:, None, :, None], offset_w[None, :, None, :]]  # (h, H, W, H, W)
    added = added.masked_fill(~seen, -torch.inf).flatten(3, 4).flatten(1, 2)
    q, k, v = (x.flatten(2, 3) for x in (q, k, v))
    logits = (q / q.shape[-1] ** 0.5) @ k.transpose(-2, -1) + added
    return (logits.softmax(-1) @ v).unflatten(2, (height, width))


def draw(size: tuple[int, int], kernel_size: int) -> list[Tensor]:
    inputs = [*torch.randn(3, 2, 2, *size, 3, dtype=torch.float64)]
    inputs.append(torch.randn(2, 2 * kernel_size - 1, 2 * kernel_size - 1, dtype=torch.float64))
    return [t.requires_grad_() for t in inputs]


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "size"),
    [
        (7, 1, (7, 9)),
        (7, 1, (15, 22)),
        (7, 2, (14, 31)),
        (7, 3, (26, 24)),
        (3, 1, (5, 17)),
        (3, 3, (10, 26)),
        (5, 2, (23, 10)),
        (1, 1, (2, 3)),
        (9, 1, (9, 25)),
    ],
    ids=str,
)
def test_is_the_definition(kernel_size: int, dilation: int, size: tuple[int, int]) -> None:
    inputs = draw(size, kernel_size)
    found, expected = neighbourhood_attention(*inputs, dilation), dense(*inputs, dilation)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(found)
    grads = (torch.autograd.grad((out * weight).sum(), inputs) for out in (found, expected))
    torch.testing.assert_close(*grads)


def test_gradients() -> None:
    inputs = draw((5, 8), 3)
    assert cut_axis(8, 3, 1, 2).tiles > 1
    inputs = [t[:1, :1, ..., :1].detach().requires_grad_() for t in inputs[:3]] + [
        inputs[3][:1].detach().requires_grad_()
    ]
    options = dict(fast_mode=True)
    assert torch.autograd.gradcheck(
        neighbourhood_attention, inputs, check_forward_ad=True, **options
    )
    assert torch.autograd.gradgradcheck(neighbourhood_attention, inputs, **options)
    q = torch.stack([inputs[0], 2 * inputs[0]])
    batched = torch.func.vmap(neighbourhood_attention, (0, None, None, None))(q, *inputs[1:])
    torch.testing.assert_close(batched[1], neighbourhood_attention(q[1], *inputs[1:]))


@pytest.mark.parametrize("length", [21, 22, 29, 36, 43, 50, 57, 64])
def test_cuts(length: int) -> None:
    """Every position has a place, and no tile is so thin that its windows leave the region."""
    for dilation in (1, 2, 3):
        axis = cut_axis(length, 7, dilation, 4)
        assert axis.front + axis.size <= axis.places
        if axis.tiles > 1:
            back = axis.places - axis.front - length // dilation
            assert axis.tile - max(axis.front, back) > 3
        assert axis.places * axis.region <= axis.size**2


def test_too_small_a_map() -> None:
    inputs = draw((6, 9), 7)
    with pytest.raises(ValueError, match="6 x 9, smaller than kernel_size"):
        neighbourhood_attention(*inputs)


@pytest.mark.skipif(natten_functions() is None, reason="needs natten with biases")
@pytest.mark.parametrize("dilation", [1, 2])
def test_natten_gives_the_same(dilation: int) -> None:
    inputs = [t.detach().float().requires_grad_() for t in draw((15, 22), 7)]
    found, expected = by_natten(*inputs, dilation), neighbourhood_attention(*inputs, dilation)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(found)
    grads = (torch.autograd.grad((out * weight).sum(), inputs) for out in (found, expected))
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


def test_exports_a_map_that_was_not_seen_before() -> None:
    """What is kept for reuse must not come from the export, nor depend on its data."""

    class Attention(torch.nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
            return neighbourhood_attention(q, k, v, bias, 2)

    _patterns.cache_clear()
    inputs = (*torch.randn(3, 1, 2, 11, 7, 4), torch.randn(2, 5, 5))
    program = torch.export.export(Attention(), inputs)
    expected = Attention()(*inputs)
    assert type(expected) is Tensor
    torch.testing.assert_close(program.module()(*inputs), expected)
