"""FreqScale: golden parity, both forms against each other, gradients, grids, precision."""

import pytest
import torch
from support.compiled import check_compiled
from support.golden import load_case, relative_error
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from fdam_mm.checkpoints import convert
from fdam_mm.layers import FreqScale, freq_scale, reference
from fdam_mm.layers.fourier import _cached_grid

GRIDS = [
    (1, 1),
    (1, 5),
    (5, 1),
    (2, 2),
    (2, 3),
    (4, 4),
    (7, 7),
    (8, 6),
    (9, 13),
    (14, 14),
    (15, 8),
]
FORMS = {"matrices": True, "fft": False}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with each form of the layer."""
    monkeypatch.setattr(freq_scale, "use_matrices", lambda x: FORMS[request.param])
    return request.param


def make(dim: int = 32, **settings: object) -> FreqScale:
    torch.manual_seed(0)
    layer = FreqScale(dim, **settings)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize("grid", ["8x8", "9x13", "14x14"])
def test_golden(grid: str, form: str) -> None:
    case = load_case(f"freqscale_d64h4_{grid}")
    layer = FreqScale(**case.build)
    layer.load_state_dict(convert(case.state, source="fdam"))
    x = case.inputs["x"].requires_grad_()
    y = layer(x) - x  # the official module leaves the residual to its caller
    assert relative_error(y, case.outputs["y"]) < 1e-5
    (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
    assert relative_error(x.grad, case.outputs["grad_x"]) < 1e-5
    official = {k.removeprefix("grad:"): v for k, v in case.outputs.items() if "grad:" in k}
    parameters = dict(layer.named_parameters())
    assert official.keys() == case.state.keys()
    for key, gradient in convert(official, source="fdam").items():
        assert relative_error(parameters[key].grad, gradient) < 1e-5, key


@pytest.mark.parametrize("hw", GRIDS)
def test_equals_reference(hw: tuple[int, int], form: str) -> None:
    layer = make().double()
    x = torch.randn(2, 32, *hw, dtype=torch.float64, requires_grad=True)
    results = []
    for function in (layer, lambda x: reference.freq_scale(layer, x)):
        out = function(x)
        results.append([out, *torch.autograd.grad(out.sin().sum(), [x, *layer.parameters()])])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("hw", [(1, 3), (3, 4), (4, 5)])
def test_gradcheck(hw: tuple[int, int], form: str) -> None:
    layer = make(4, groups=2, num_filters=2, filter_size=3, mlp_ratio=0.5).double()
    x = torch.randn(1, 4, *hw, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def forward(x: Tensor, *values: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    inputs = (x, *layer.parameters())
    assert torch.autograd.gradcheck(forward, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(forward, inputs)


def test_tokens_equal_map(form: str) -> None:
    layer = make()
    x = torch.randn(2, 32, 6, 9)
    tokens = layer(x.flatten(2).transpose(1, 2), hw=(6, 9))
    torch.testing.assert_close(tokens.transpose(1, 2).unflatten(2, (6, 9)), layer(x))


@pytest.mark.parametrize("hw", [(1, 5), (9, 13)])
def test_add_to_equals_reference(hw: tuple[int, int], form: str) -> None:
    """With LayerScale and the residual: recorded, not recorded, and with prefix tokens."""
    layer = make().double()
    x, shortcut = torch.randn(2, 2, 32, *hw, dtype=torch.float64)
    gamma = torch.randn(32, dtype=torch.float64, requires_grad=True)
    wanted = [x.requires_grad_(), shortcut.requires_grad_(), gamma, *layer.parameters()]
    outs = [
        layer.add_to(shortcut, x, gamma=gamma),
        shortcut + gamma[:, None, None] * reference.freq_scale(layer, x),
    ]
    ours, expected = ([out, *torch.autograd.grad(out.sin().sum(), wanted)] for out in outs)
    torch.testing.assert_close(ours, expected)
    with torch.no_grad():
        torch.testing.assert_close(layer.add_to(shortcut, x, gamma=gamma), outs[1])
        torch.testing.assert_close(layer.add_to(shortcut, x), shortcut + layer(x))
        tokens = (
            F.pad(t.flatten(2).transpose(1, 2), (0, 0, 3, 0), value=0.5) for t in (shortcut, x)
        )
        out = layer.add_to(*tokens, hw, 3, gamma)
    torch.testing.assert_close(out[:, 3:].transpose(1, 2).unflatten(2, hw), outs[1])
    torch.testing.assert_close(out[:, :3], (0.5 + 0.5 * gamma).expand(2, 3, -1))


def test_add_to_calls_what_stands_in_for_the_layer() -> None:
    layer, shortcut, x = make(), *torch.randn(2, 1, 32, 4, 5)
    gamma = torch.randn(32)
    layer.forward = lambda x, *_: 2 * x
    torch.testing.assert_close(
        layer.add_to(shortcut, x, gamma=gamma), shortcut + gamma[:, None, None] * 2 * x
    )
    del layer.forward
    layer.register_forward_hook(lambda *_: 3 * x)
    torch.testing.assert_close(layer.add_to(shortcut, x), shortcut + 3 * x)


def test_add_to_keeps_one_map(form: str) -> None:
    layer, kept = make(64), []
    x, shortcut = torch.randn(2, 1, 64, 48, 48, requires_grad=True)
    gamma = torch.randn(64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layer.add_to(shortcut, x, gamma=gamma)
    assert sum(t.numel() for t in kept) < 1.1 * x.numel()


def test_transforms(form: str) -> None:
    layer = make(4, groups=2, num_filters=2, filter_size=3, mlp_ratio=0.5).double()
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(layer, x)
    torch.testing.assert_close(torch.func.jacrev(layer)(x), expected)


def test_prefix_tokens_pass_unchanged() -> None:
    layer = make()
    x = torch.randn(2, 3 + 20, 32)
    out = layer(x, hw=(4, 5), num_prefix_tokens=3)
    assert torch.equal(out[:, :3], x[:, :3])
    torch.testing.assert_close(out[:, 3:], layer(x[:, 3:], hw=(4, 5)))


def test_channels_are_group_major() -> None:
    """Filters of group 0 act on the first C / groups channels alone."""
    layer = make(8, groups=2, num_filters=1, mlp_ratio=0.5)
    with torch.no_grad():
        layer.reweight.fc2.weight[1] = 0  # row g * F + f: tanh(0) = 0 switches group 1 off
    x = torch.randn(1, 8, 6, 6)
    changed = (layer(x) - x).abs().amax((0, 2, 3)) > 1e-6
    assert changed.tolist() == [True] * 4 + [False] * 4


def test_starts_near_identity() -> None:
    x = torch.randn(2, 64, 10, 10)
    assert relative_error(FreqScale(64)(x), x) < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit(dtype: torch.dtype, form: str) -> None:
    layer = make()
    x = torch.randn(2, 32, 9, 10)
    expected = layer(x)
    with torch.autocast("cpu", dtype):
        assert layer(x).dtype == torch.float32  # an island: float32 in, float32 out
        torch.testing.assert_close(layer(x), expected)
        out = layer(x.to(dtype))
    assert out.dtype == dtype
    assert relative_error(out.float(), expected) < 0.01
    half = layer.to(dtype)(x.to(dtype))
    assert half.dtype == dtype
    assert relative_error(half.float(), expected) < 0.05


def test_constants_survive_inference_mode() -> None:
    layer = make()
    x = torch.randn(1, 32, 11, 7)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.bases.grad is not None


def test_compiles(form: str) -> None:
    layer = make()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for hw in ((6, 7), (9, 4), (5, 8)):  # from the second on, sizes are symbols
        check_compiled(layer, compiled, (torch.randn(2, 32, *hw),))


def test_exports(form: str) -> None:
    """On a grid that was not seen before: what is kept for reuse must not come from the export."""
    _cached_grid.cache_clear()
    layer = make().eval()
    x = torch.randn(2, 32, 6, 7)
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for batch in (x, torch.randn(3, 32, 6, 7)):
        expected = layer(batch)
        assert type(expected) is torch.Tensor
        torch.testing.assert_close(program.module()(batch), expected)


def test_no_pictures(form: str) -> None:
    assert make()(torch.zeros(0, 32, 6, 7)).shape == (0, 32, 6, 7)


def test_an_export_of_any_size_computes_its_constants() -> None:
    layer = make().eval()
    x = torch.randn(2, 32, 10, 13)
    anything = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    program = torch.export.export(layer, (x,), dynamic_shapes=(anything,), strict=False)
    for size in ((10, 13), (7, 20), (32, 8)):
        y = torch.randn(3, 32, *size)
        torch.testing.assert_close(program.module()(y), layer(y), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(dim=30), "dim 30 is not a multiple of groups 16"),
        (dict(dim=16, groups=0), "not a multiple of groups 0"),
        (dict(dim=16, num_filters=0), "num_filters 0 and filter_size 14 must be at least 1"),
        (dict(dim=16, mlp_ratio=0.01), "leaves no hidden channel"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FreqScale(**settings)


@pytest.mark.parametrize(
    ("shape", "hw", "message"),
    [
        ((1, 20, 32), None, "give their grid"),
        ((1, 20, 32), (4, 4), r"expected tokens \(B, 16, 32\)"),
        ((1, 16, 4, 4), None, r"expected a map \(B, 32, H, W\)"),
    ],
)
def test_bad_shapes(shape: tuple[int, ...], hw: tuple[int, int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()(torch.randn(shape), hw)
