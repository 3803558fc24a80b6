"""The chunked scan against a loop over the steps."""

import pytest
import torch
from torch import Tensor

from fdam_mm.layers.linear_recurrence import linear_recurrence
from fdam_mm.layers.selective_scan import selective_scan

Inputs = list[Tensor]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def loop(
    u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor, reverse: bool = False
) -> Tensor:
    """The formula, one step after the other."""
    length = u.shape[-2]
    state, out = 0.0, [None] * length
    for t in reversed(range(length)) if reverse else range(length):
        decay = torch.exp(step[..., t, :, None] * a)  # (..., D, N)
        state = decay * state + (step * u)[..., t, :, None] * b[..., t, None, :]
        out[t] = (state * c[..., t, None, :]).sum(-1)
    return torch.stack(out, -2)


def draw(length: int, dim: int = 3, states: int = 2, dtype: torch.dtype = torch.float64) -> Inputs:
    u, step = torch.randn(2, 2, length, dim, dtype=dtype), torch.rand(2, 2, length, dim).to(dtype)
    a = -torch.rand(2, dim, states, dtype=dtype) - 0.1
    b, c = torch.randn(2, 2, 2, length, states, dtype=dtype)
    return [t.requires_grad_() for t in (u, step, a, b, c)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 16, 50])
def test_is_the_loop(length: int, reverse: bool) -> None:
    inputs = draw(length)
    found, expected = selective_scan(*inputs, reverse), loop(*inputs, reverse)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(found)
    grads = (torch.autograd.grad((out * weight).sum(), inputs) for out in (found, expected))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("states", [1, 8])
def test_float32_of_a_map(states: int) -> None:
    inputs = draw(400, 8, states, torch.float32)
    found, expected = selective_scan(*inputs), loop(*inputs)
    assert (found - expected).norm() < 1e-5 * expected.norm()
    weight = torch.randn_like(found)
    found, expected = (
        torch.autograd.grad((out * weight).sum(), inputs) for out in (found, expected)
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients(reverse: bool) -> None:
    decay, drive = torch.rand(2, 2, 7, 2, dtype=torch.float64).requires_grad_()
    scan = lambda a, b: linear_recurrence(a, b, reverse)  # noqa: E731
    assert torch.autograd.gradcheck(scan, (decay, drive), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(scan, (decay, drive))
    batched = torch.func.vmap(scan, in_dims=(None, 0))(decay, torch.stack([drive, 2 * drive]))
    torch.testing.assert_close(batched[1], scan(decay, 2 * drive))


@pytest.mark.parametrize("reverse", [False, True])
def test_every_way_of_differentiating(reverse: bool) -> None:
    """Forward mode, twice, and by ``torch.func``, whose tensors nothing is written into."""
    inputs = draw(7)
    scan = lambda *x: selective_scan(*x, reverse)  # noqa: E731
    assert torch.autograd.gradcheck(scan, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(scan, inputs)
    expected = torch.autograd.grad(scan(*inputs).sin().sum(), inputs)
    found = torch.func.grad(lambda x: scan(*x).sin().sum())(tuple(inputs))
    torch.testing.assert_close(found, expected)
    batched = torch.func.vmap(scan, in_dims=(0, None, None, None, None))(
        torch.stack([inputs[0], 2 * inputs[0]]), *inputs[1:]
    )
    torch.testing.assert_close(batched[1], scan(2 * inputs[0], *inputs[1:]))


def test_shared_inputs() -> None:
    """What is the same for several sequences gets the sum of their gradients."""
    u, step, _, b, c = draw(9)
    a = (-torch.rand(3, 2, dtype=torch.float64)).requires_grad_()
    inputs = [u, step[:1].detach().requires_grad_(), a, b[:, :1].detach().requires_grad_(), c]
    found, expected = selective_scan(*inputs), loop(*inputs)
    torch.testing.assert_close(found, expected)
    grads = [torch.autograd.grad(out.sin().sum(), inputs) for out in (found, expected)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("states", [1, 3])
def test_vanishing_and_lasting_states(states: int) -> None:
    """Decays whose products over the sequence are far below the smallest float, and ones."""
    u, step, _, b, c = draw(400, 4, states, torch.float32)
    a = -torch.tensor([1e4, 1e2, 1e-3, 0.0]).view(1, 4, 1).repeat(2, 1, states).requires_grad_()
    inputs = [u, step, a, b, c]
    found, expected = selective_scan(*inputs), loop(*(t.double() for t in inputs))
    assert torch.isfinite(found).all()
    assert (found - expected).norm() < 1e-5 * expected.norm()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(found.sum(), inputs))


def test_float32_under_autocast() -> None:
    inputs = draw(20, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = selective_scan(*inputs)
    assert torch.equal(found, selective_scan(*inputs))
