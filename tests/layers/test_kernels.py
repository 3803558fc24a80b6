"""The Triton kernels equal their plain forms: on a GPU, or through Triton's interpreter."""

import json
import os
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from support.compiled import check_compiled
from support.paths import ROOT, python_path
from torch import Tensor
from torch.autograd import forward_ad, grad
from torch.nn.attention import SDPBackend, sdpa_kernel

pytest.importorskip("triton")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
on_gpu = pytest.mark.skipif(False, reason="") if INTERPRETED else pytest.mark.gpu
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (not INTERPRETED)
# Of the largest value. Products of 16-bit layers are TF32's, with the 10 bits of float16; a
# gradient is of several, one after the other.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 6e-3, torch.bfloat16: 2e-2}


@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
def test_all_of_these_through_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    env = {**os.environ, "TRITON_INTERPRET": "1"}  # read when triton is imported
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:]


def leaf(*shape: int, dtype: torch.dtype = torch.float32, scale: float = 1) -> Tensor:
    return (scale * torch.randn(*shape)).to(DEVICE, dtype).requires_grad_()


def assert_equal(out: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert out.shape == expected.shape and out.dtype == expected.dtype
    error = (out.double() - expected.double()).abs().max()
    assert error <= TOLERANCE[dtype] * expected.double().abs().max()


def compare(kernel, plain, inputs: tuple[Tensor | None, ...], dtype: torch.dtype) -> None:
    """Results and gradients of ``kernel`` are those of ``plain`` in float32."""
    given = [t for t in inputs if t is not None]
    exact = [None if t is None else t.detach().float().requires_grad_() for t in inputs]
    out, expected = kernel(*inputs), plain(*exact)
    assert_equal(out, expected.to(out.dtype), dtype)
    grad = torch.randn(expected.shape).to(DEVICE, out.dtype)
    grads = torch.autograd.grad(out, given, grad)
    wanted = torch.autograd.grad(expected, [t for t in exact if t is not None], grad.float())
    for found, of_plain, x in zip(grads, wanted, given, strict=True):
        assert_equal(found, of_plain.to(x.dtype), dtype)


@on_gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["heads before tokens", "tokens before heads", "of a linear"])
def test_gates_and_mix(dtype: torch.dtype, layout: str) -> None:
    from fdam_mm.layers.kernels.att_inv import GateAndMix, plain_gate_and_mix

    torch.manual_seed(0)
    batch, tokens, heads, dim = 2, 37, 3, 20  # no side is a power of two
    channels = heads * dim
    y, v = (torch.randn(batch, tokens, heads, dim) for _ in range(2))
    if layout == "heads before tokens":
        y, v = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in (y, v))
    elif layout == "of a linear":
        v = torch.randn(batch, tokens, 3, heads, dim)[:, :, 2]
    y, v = (t.to(DEVICE, dtype).requires_grad_() for t in (y, v))
    gates = [leaf(*shape, scale=channels**-0.5) for shape in ((heads, channels), (heads,)) * 2]
    parameters = leaf(1), leaf(1), *gates, leaf(heads, dim), leaf(heads, dim)
    inputs = leaf(batch, tokens, channels), y, v, *parameters
    compare(GateAndMix.apply, plain_gate_and_mix, inputs, dtype)


@on_gpu
@pytest.mark.parametrize("scale", [1, 1e-3], ids=["anywhere", "near zero"])
@pytest.mark.parametrize(("channels", "hidden", "out"), [(100, 6, 64), (32, 2, 100)])
def test_routing(channels: int, hidden: int, out: int, scale: float) -> None:
    from fdam_mm.layers.kernels.routing import Route, plain_route

    torch.manual_seed(0)
    first, second = leaf(hidden, channels, scale=channels**-0.5), leaf(out, hidden, scale=scale)
    inputs = leaf(3, channels), first, leaf(1), leaf(1), second
    compare(Route.apply, plain_route, inputs, torch.float32)


@on_gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("folded", [False, True], ids=["alone", "with shortcut and gamma"])
@pytest.mark.parametrize(
    ("hw", "side", "prefix", "group"),
    [((7, 10), 14, 0, 5), ((16, 2), 14, 3, 5), ((1, 5), 7, 1, 16), ((18, 31), 14, 0, 16)],
)
def test_scale_on_chip(
    hw: tuple[int, int], side: int, prefix: int, group: int, folded: bool, dtype: torch.dtype
) -> None:
    """A program's channels are of one group, 16 of them, or of several."""
    from fdam_mm.layers.kernels.freq_scale import ScaleOnChip, plain_scale

    torch.manual_seed(0)
    channels = 4 * group
    shape = (2, prefix + hw[0] * hw[1], channels)
    routing, bases = leaf(2, 4, 3), leaf(3, group, side, side // 2 + 1)
    gamma, shortcut = (leaf(channels), leaf(*shape)) if folded else (None, None)
    to = torch.float32 if folded else dtype
    compare(
        lambda *inputs: ScaleOnChip.apply(*inputs, hw, to),
        partial(plain_scale, hw=hw, dtype=torch.float32),
        (leaf(*shape, dtype=dtype), routing, bases, gamma, shortcut),
        dtype,
    )


@on_gpu
def test_the_plain_forms_are_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    from fdam_mm.layers import AttInv, FreqScale
    from fdam_mm.layers.kernels.att_inv import plain_gate_and_mix
    from fdam_mm.layers.kernels.freq_scale import plain_scale
    from fdam_mm.layers.kernels.routing import plain_route

    layers_with_kernels(monkeypatch, False)
    torch.manual_seed(0)
    layer = FreqScale(20, groups=4, mlp_ratio=0.5).to(DEVICE)
    x = torch.randn(2, 20, 6, 9, device=DEVICE)
    with torch.no_grad():
        layer.bases.normal_()
        fc1, act, fc2 = layer.reweight
        mean = x.mean((2, 3))
        routing = plain_route(mean, fc1.weight, act.scale, act.bias, fc2.weight)
        routing = routing.unflatten(1, (4, -1))
        maps = x.permute(0, 2, 3, 1)
        out = plain_scale(maps, routing, layer.bases, None, None, (6, 9), torch.float32)
        assert_equal(out.permute(0, 3, 1, 2), layer(x), torch.float32)

        mixer = AttInv(24, 3, gamma_init=0.5).to(DEVICE)
        normed, v, y = torch.randn(3, 2, 7, 24, device=DEVICE).unbind()
        heads = (t.unflatten(-1, (3, 8)) for t in (y, v))
        of_act = mixer.act.scale, mixer.act.bias
        gates = [p for gate in (mixer.low_gate, mixer.high_gate) for p in gate.parameters()]
        gammas = (g.view(3, 8) for g in (mixer.low_gamma, mixer.high_gamma))
        mixed = plain_gate_and_mix(normed, *heads, *of_act, *gates, *gammas).flatten(-2)
        assert_equal(mixed, mixer(normed, v, y), torch.float32)


@on_gpu
def test_gradients_of_gradients() -> None:
    from fdam_mm.layers.kernels.freq_scale import ScaleOnChip, plain_scale
    from fdam_mm.layers.kernels.routing import Route, plain_route

    torch.manual_seed(0)
    scaling = leaf(1, 12, 16), leaf(1, 1, 2), leaf(2, 16, 4, 3), leaf(16), leaf(1, 12, 16)
    sizes = dict(hw=(3, 4), dtype=torch.float32)

    def twice(function, inputs) -> list[Tensor]:
        first = torch.autograd.grad(function(*inputs).square().sum(), inputs, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), inputs))

    def kernel(*inputs):
        return ScaleOnChip.apply(*inputs, *sizes.values())

    routing = leaf(2, 20), leaf(3, 20, scale=0.2), leaf(1), leaf(1), leaf(5, 3, scale=0.2)
    cases = (kernel, partial(plain_scale, **sizes), scaling), (Route.apply, plain_route, routing)
    for function, plain, inputs in cases:
        for out, expected in zip(twice(function, inputs), twice(plain, inputs), strict=True):
            assert_equal(out, expected, torch.float32)


def test_switched_on_only_where_they_can_serve() -> None:
    from fdam_mm.layers import AttInvAttention
    from fdam_mm.layers.kernels import can_use_kernels, use_kernels

    x = torch.randn(1, 6, 16)
    layer = AttInvAttention(16, 2, gamma_init=0.5)
    expected = layer(x)
    use_kernels()
    try:
        assert not can_use_kernels(x)  # on a CPU, also through the interpreter
        assert torch.equal(layer(x), expected)
        compiled = torch.compile(layer, backend="eager", fullgraph=True)
        assert torch.equal(compiled(x), expected)
    finally:
        use_kernels(None)


@pytest.mark.gpu
def test_switched_off() -> None:
    from fdam_mm.layers.kernels import can_use_kernels, use_kernels

    x = torch.randn(2, 3, device="cuda")
    try:
        use_kernels(False)
        assert not can_use_kernels(x)
        use_kernels()
        assert can_use_kernels(x) and not can_use_kernels(x.double())
    finally:
        use_kernels(None)


@on_gpu
@pytest.mark.parametrize("shape", [(7, 24), (2, 7, 24), (2, 3, 7, 24)], ids=str)
def test_any_dimensions_before_the_tokens(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fdam_mm.layers import AttInv

    torch.manual_seed(0)
    layer = AttInv(24, 3, gamma_init=0.5).to(DEVICE)
    x, v, y = torch.randn(3, *shape, device=DEVICE).unbind()
    x.requires_grad_()

    def twice() -> list[Tensor]:
        """The output, a gradient, and a gradient of that."""
        out = layer(x, v, y)
        (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        return [out, first, *torch.autograd.grad(first.square().sum(), x)]

    layers_with_kernels(monkeypatch, False)
    expected = twice()
    layers_with_kernels(monkeypatch, True)
    for found, wanted in zip(twice(), expected, strict=True):
        assert_equal(found, wanted, torch.float32)


@on_gpu
def test_the_layers_with_kernels_equal_those_without(monkeypatch: pytest.MonkeyPatch) -> None:
    from fdam_mm.layers import AttInvAttention, FreqScale

    torch.manual_seed(0)
    attention = AttInvAttention(32, 2, gamma_init=0.5).to(DEVICE)
    scaling = FreqScale(32, groups=4, mlp_ratio=0.5).to(DEVICE)
    torch.nn.init.normal_(scaling.bases)
    x = torch.randn(2, 1 + 6 * 5, 32, device=DEVICE)

    def step() -> list[Tensor]:
        out = scaling(attention(x), hw=(6, 5), num_prefix_tokens=1)
        gamma = torch.linspace(-1, 1, 32, device=DEVICE)
        out = scaling.add_to(x, out, (6, 5), num_prefix_tokens=1, gamma=gamma)
        maps = out[:, 1:].transpose(1, 2).unflatten(2, (6, 5))
        out = scaling.add_to(maps, scaling(maps), gamma=gamma)
        parameters = [*attention.parameters(), *scaling.parameters()]
        return [out, *torch.autograd.grad(out.square().mean(), parameters)]

    layers_with_kernels(monkeypatch, False)
    expected = step()
    layers_with_kernels(monkeypatch, True)
    for found, wanted in zip(step(), expected, strict=True):
        assert_equal(found, wanted, torch.float32)


def layers_with_kernels(monkeypatch: pytest.MonkeyPatch, on: bool) -> None:
    import fdam_mm.layers.att_inv
    import fdam_mm.layers.freq_scale

    for room in (fdam_mm.layers.att_inv, fdam_mm.layers.freq_scale):
        monkeypatch.setattr(room, "can_use_kernels", lambda x: on)


class Block(torch.nn.Module):
    """An attention with AttInv and a residual branch with FreqScale and LayerScale."""

    def __init__(self) -> None:
        from fdam_mm.layers import AttInvAttention, FreqScale

        super().__init__()
        self.attention = AttInvAttention(32, 2, gamma_init=0.5)
        self.scaling = FreqScale(32, groups=4, mlp_ratio=0.5)
        torch.nn.init.normal_(self.scaling.bases, std=0.5)
        self.gamma = torch.nn.Parameter(torch.randn(32))

    def forward(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        return self.scaling.add_to(x, self.attention(x), hw, gamma=self.gamma)


@on_gpu
@pytest.mark.parametrize("transform", ["grad", "vmap", "jacobian", "forward mode"])
def test_transformed(transform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the plain forms serve reaches them, also where a layer asks for its kernels."""
    torch.manual_seed(0)
    block = Block().to(DEVICE)
    x, tangent = torch.randn(2, 2, 12, 32, device=DEVICE).unbind()

    def loss(x: Tensor) -> Tensor:
        return block(x, (3, 4)).square().mean()

    def forward_mode() -> Tensor:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(loss(forward_ad.make_dual(x, tangent))).tangent

    results = {
        "grad": lambda: torch.func.grad(loss)(x),
        "vmap": lambda: torch.func.vmap(loss)(x[:, None]),
        "jacobian": lambda: torch.func.jacrev(lambda x: block(x, (3, 4))[0, 0, :4])(x),
        "forward mode": forward_mode,
    }
    with sdpa_kernel(SDPBackend.MATH):  # others have no forward mode
        layers_with_kernels(monkeypatch, False)
        expected = results[transform]()
        layers_with_kernels(monkeypatch, True)
        assert_equal(results[transform](), expected, torch.float32)


@on_gpu
def test_a_backward_under_autocast_is_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    from fdam_mm.layers import AttInv, FreqScale

    torch.manual_seed(0)
    mixer = AttInv(32, 2, gamma_init=0.5).to(DEVICE)
    scaling = FreqScale(32, groups=4, mlp_ratio=0.5).to(DEVICE)
    torch.nn.init.normal_(scaling.bases)
    layers_with_kernels(monkeypatch, True)
    x, v, y = torch.randn(3, 2, 12, 32, device=DEVICE).unbind()
    total = scaling(mixer(x, v, y), (3, 4)).square().sum()
    parameters = [*mixer.parameters(), *scaling.parameters()]
    expected = grad(total, parameters, retain_graph=True)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = grad(total, parameters)
    for of_parameter, wanted in zip(found, expected, strict=True):
        assert_equal(of_parameter, wanted, torch.float32)


@on_gpu
def test_compiled_in_one_graph_for_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    block = Block().to(DEVICE)
    layers_with_kernels(monkeypatch, True)
    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend="aot_eager")
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for hw in ((5, 6), (7, 4), (16, 9)):
        x = torch.randn(2, hw[0] * hw[1], 32, device=DEVICE)
        check_compiled(
            block, lambda x, hw=hw: compiled(x, hw), (x,), lambda x, hw=hw: block(x, hw)
        )
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


FIGURES = ROOT / "benchmarks/results/kernels.json"


def test_the_committed_figures_fit_on_chip() -> None:
    rows = json.loads(FIGURES.read_text())["kernels"]
    figures = [f for row in rows.values() for f in row.values()]
    assert {target for row in rows.values() for target in row} == {"sm_80", "sm_90"}
    assert all(f["shared_bytes"] <= 99 << 10 for f in figures)  # of a block on most GPUs
    # FreqScale's tiles are the fastest that were measured, spilled registers or not.
    assert all(f["spilled_bytes"] < 2 << 10 for f in figures)
    others = [f for name, row in rows.items() if "scale" not in name for f in row.values()]
    assert others and all(f["spilled_bytes"] == 0 for f in others)


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_the_kernels_compile_to_the_committed_figures(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": python_path()}
    out = tmp_path / "kernels.json"
    command = [sys.executable, str(ROOT / "benchmarks/kernels.py"), "--out", str(out)]
    subprocess.run(
        [*command, "--only", "scale_backward 32x32 bfloat16", "mix_backward"], env=env, check=True
    )
    committed, found = (json.loads(file.read_text()) for file in (FIGURES, out))
    if found["triton"] != committed["triton"]:
        pytest.skip("another triton compiles otherwise")
    assert found["kernels"] == {name: committed["kernels"][name] for name in found["kernels"]}
    assert len(found["kernels"]) == 3


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_the_table_of_the_docs_is_the_committed_figures() -> None:
    table = runpy.run_path(str(ROOT / "benchmarks/kernels.py"))["table"]
    assert table(json.loads(FIGURES.read_text())["kernels"]) in (ROOT / "docs/gpu.md").read_text()
