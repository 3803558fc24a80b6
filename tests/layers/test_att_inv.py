"""AttInv and AttInvAttention: golden parity, gradients, switches, precision."""

import pytest
import torch
from support.compiled import check_compiled
from support.golden import load_case, relative_error
from torch import Tensor
from torch.func import functional_call

from fdam_mm.checkpoints import convert
from fdam_mm.layers import AttInv, AttInvAttention, reference


def randomise(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def test_golden() -> None:
    case = load_case("attinv_d64h4")
    attention = AttInvAttention(**case.build)
    attention.load_state_dict(convert(case.state, source="fdam"))
    x = case.inputs["x"].requires_grad_()
    y = attention(x)
    assert relative_error(y, case.outputs["y"]) < 1e-5
    (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
    assert relative_error(x.grad, case.outputs["grad_x"]) < 1e-5
    gradients = convert({k: v for k, v in case.outputs.items() if "grad:" in k}, source="fdam")
    official = {k.removeprefix("grad:"): v for k, v in case.outputs.items() if "grad:" in k}
    parameters = dict(attention.named_parameters())
    assert len(gradients) == len(parameters)
    for key, gradient in convert(official, source="fdam").items():
        assert relative_error(parameters[key].grad, gradient) < 1e-5, key


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("high", [True, False])
def test_equals_reference(low: bool, high: bool) -> None:
    layer = randomise(AttInv(12, 3, low=low, high=high)).double()
    inputs = [torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weight = torch.randn(2, 5, 12, dtype=torch.float64)
    results = []
    for function in (layer, lambda *args: reference.att_inv(layer, *args)):
        out = function(*inputs)
        wanted = [*inputs, *layer.parameters()]
        gradients = torch.autograd.grad((out * weight).sum(), wanted, allow_unused=True)
        results.append([out, *gradients])
    for ours, expected in zip(*results, strict=True):
        assert (ours is None) == (expected is None)
        if ours is not None:
            torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("low", "high"), [(True, True), (True, False), (False, True)])
def test_gradcheck(low: bool, high: bool) -> None:
    layer = randomise(AttInv(6, 2, low=low, high=high)).double()
    inputs = [torch.randn(1, 3, 6, dtype=torch.float64, requires_grad=True) for _ in range(3)]

    names = [name for name, _ in layer.named_parameters()]

    def forward(x: Tensor, v: Tensor, y: Tensor, *values: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, values, strict=True)), (x, v, y))

    inputs = (*inputs, *layer.parameters())
    assert torch.autograd.gradcheck(forward, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(forward, inputs)


def test_hessian() -> None:
    """Forward over reverse, of torch.func, and twice reverse."""
    layer = randomise(AttInv(4, 2)).double()
    x, v, y = torch.randn(3, 1, 2, 4, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        return layer(x, v, y).sin().sum()

    twice_reverse = torch.autograd.functional.hessian(loss, x)
    torch.testing.assert_close(torch.func.hessian(loss)(x), twice_reverse)


def test_switches_remove_parameters() -> None:
    assert not list(AttInv(8, 2, low=False, high=False).parameters())
    names = {name for name, _ in AttInv(8, 2, low=False).named_parameters()}
    assert names == {
        "act.scale",
        "act.bias",
        "high_gate.weight",
        "high_gate.bias",
        "high_gamma",
    }


def test_starts_near_plain_attention() -> None:
    torch.manual_seed(0)
    attention = AttInvAttention(32, 4)
    plain = AttInvAttention(32, 4, low=False, high=False)
    plain.load_state_dict(attention.state_dict(), strict=False)
    x = torch.randn(2, 9, 32)
    assert relative_error(attention(x), plain(x)) < 1e-4


def test_leading_dimensions() -> None:
    layer = randomise(AttInv(8, 2))
    x, v, y = torch.randn(3, 2, 3, 4, 8)  # each (2, 3, 4, 8): windows, say
    flat = layer(x.flatten(0, 1), v.flatten(0, 1), y.flatten(0, 1))
    torch.testing.assert_close(layer(x, v, y).flatten(0, 1), flat)


def test_heads_first() -> None:
    layer = randomise(AttInv(8, 2))
    x = torch.randn(3, 5, 8)
    v, y = torch.randn(2, 3, 2, 5, 4)  # each (B, h, N, d)
    merged = (t.transpose(1, 2).reshape(3, 5, 8) for t in (v, y))
    torch.testing.assert_close(layer(x, v, y), layer(x, *merged))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    attention = randomise(AttInvAttention(32, 4))
    x = torch.randn(2, 9, 32)
    expected = attention(x)
    with torch.autocast("cpu", dtype):
        out = attention(x)
    assert out.dtype == dtype
    assert relative_error(out.float(), expected) < 0.05
    out.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in attention.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_stays_finite_on_large_inputs(dtype: torch.dtype) -> None:
    layer = AttInv(32, 4).to(dtype)
    x = torch.full((1, 4, 32), 500.0, dtype=dtype, requires_grad=True)  # squared, beyond fp16
    v, y = torch.randn(2, 1, 4, 32).to(dtype)
    out = layer(x, v, y)
    out.float().sum().backward()
    assert out.dtype == dtype
    assert out.isfinite().all() and x.grad.isfinite().all()


def test_saves_little_for_backward() -> None:
    """Beside y, v and x, which live anyway, only per-head gates may be kept."""
    layer, kept = AttInv(64, 2), []
    x, v, y = (torch.randn(2, 50, 64, requires_grad=True) for _ in range(3))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layer(x, v, y)
    inputs = {t.data_ptr() for t in (x, v, y)}
    extra = sum(t.numel() for t in kept if t.numel() >= 200 and t.data_ptr() not in inputs)
    assert extra < 0.5 * x.numel()


@pytest.mark.parametrize(("low", "high"), [(True, True), (True, False), (False, True)])
def test_compiles(low: bool, high: bool) -> None:
    layer = AttInvAttention(32, 4, low=low, high=high)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    check_compiled(layer, compiled, (torch.randn(2, 6, 32),))


def test_bad_heads() -> None:
    with pytest.raises(ValueError, match="dim 10 is not a multiple of num_heads 4"):
        AttInv(10, 4)
