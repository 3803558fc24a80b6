"""The Triton kernels equal their plain forms: on a GPU, or through Triton's interpreter."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.tools import ROOT
from torch import Tensor

pytest.importorskip("triton")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
on_gpu = pytest.mark.skipif(False, reason="") if INTERPRETED else pytest.mark.gpu
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (not INTERPRETED)
# Of the largest value. Sums of 16-bit results round once more.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
def test_all_of_these_through_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    env = {**os.environ, "TRITON_INTERPRET": "1"}  # read when triton is imported
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:]


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape).to(DEVICE, dtype).requires_grad_()


def assert_equal(out: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert out.shape == expected.shape and out.dtype == expected.dtype
    error = (out.double() - expected.double()).abs().max()
    assert error <= TOLERANCE[dtype] * expected.double().abs().max()


def compare(kernel, plain, inputs: tuple[Tensor, ...], dtype: torch.dtype) -> None:
    """Results and gradients of ``kernel`` are those of ``plain`` in float32."""
    exact = tuple(t.detach().float().requires_grad_() for t in inputs)
    out, expected = kernel.apply(*inputs), plain(*exact)
    assert_equal(out, expected.to(dtype), dtype)
    grad = torch.randn(expected.shape).to(DEVICE, dtype)
    grads = torch.autograd.grad(out, inputs, grad)
    for found, wanted, x in zip(
        grads, torch.autograd.grad(expected, exact, grad.float()), inputs, strict=True
    ):
        assert_equal(found, wanted.to(x.dtype), dtype)


@on_gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["heads before tokens", "tokens before heads"])
def test_gates_and_mix(dtype: torch.dtype, layout: str) -> None:
    from fdam_mm.layers.kernels.att_inv import GateAndMix, plain_gate_and_mix

    torch.manual_seed(0)
    batch, tokens, heads, dim = 2, 37, 3, 20  # no side is a power of two
    y, v = (torch.randn(batch, tokens, heads, dim) for _ in range(2))
    if layout == "heads before tokens":
        y, v = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in (y, v))
    y, v = (t.to(DEVICE, dtype).requires_grad_() for t in (y, v))
    logits = (5 * torch.randn(batch, tokens, 2 * heads)).to(DEVICE).requires_grad_()
    gammas = leaf(heads, dim), leaf(heads, dim)
    compare(GateAndMix, plain_gate_and_mix, (y, v, logits, *gammas), dtype)


@on_gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("hw", "side"), [((7, 10), 14), ((16, 2), 14), ((1, 5), 7)])
def test_scale_on_chip(hw: tuple[int, int], side: int, dtype: torch.dtype) -> None:
    from fdam_mm.layers.kernels.freq_scale import ScaleOnChip, plain_scale_maps

    torch.manual_seed(0)
    x = leaf(2, *hw, 20, dtype=dtype)
    routing, bases = leaf(2, 4, 3), leaf(3, 5, side, side // 2 + 1)
    compare(ScaleOnChip, plain_scale_maps, (x, routing, bases), dtype)


@on_gpu
def test_the_plain_forms_are_the_layers() -> None:
    from fdam_mm.layers import AttInv, FreqScale
    from fdam_mm.layers.kernels.att_inv import plain_gate_and_mix
    from fdam_mm.layers.kernels.freq_scale import plain_scale_maps

    torch.manual_seed(0)
    layer = FreqScale(20, groups=4, mlp_ratio=0.5).to(DEVICE)
    x = torch.randn(2, 20, 6, 9, device=DEVICE)
    with torch.no_grad():
        layer.bases.normal_()
        routing = torch.tanh(layer.reweight(x.mean((2, 3)))).unflatten(1, (4, -1))
        out = plain_scale_maps(x.permute(0, 2, 3, 1), routing, layer.bases).permute(0, 3, 1, 2)
        assert_equal(out, layer(x), torch.float32)

        mixer = AttInv(24, 3, gamma_init=0.5).to(DEVICE)
        normed, v, y = torch.randn(3, 2, 7, 24, device=DEVICE).unbind()
        heads = (t.unflatten(-1, (3, 8)) for t in (y, v))
        gammas = (g.view(3, 8) for g in (mixer.low_gamma, mixer.high_gamma))
        mixed = plain_gate_and_mix(*heads, mixer._logits(normed), *gammas).flatten(-2)
        assert_equal(mixed, mixer(normed, v, y), torch.float32)


@on_gpu
def test_gradients_of_gradients() -> None:
    from fdam_mm.layers.kernels.freq_scale import ScaleOnChip, plain_scale_maps

    torch.manual_seed(0)
    inputs = leaf(1, 3, 4, 16), leaf(1, 1, 2), leaf(2, 16, 4, 3)

    def twice(function) -> list[Tensor]:
        first = torch.autograd.grad(function(*inputs).square().sum(), inputs, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), inputs))

    for out, expected in zip(twice(ScaleOnChip.apply), twice(plain_scale_maps), strict=True):
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
        use_kernels(False)


@on_gpu
@pytest.mark.parametrize("shape", [(7, 24), (2, 7, 24), (2, 3, 7, 24)], ids=str)
def test_any_dimensions_before_the_tokens(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fdam_mm.layers.att_inv
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

    expected = twice()
    monkeypatch.setattr(fdam_mm.layers.att_inv, "can_use_kernels", lambda x: True)
    for found, wanted in zip(twice(), expected, strict=True):
        assert_equal(found, wanted, torch.float32)


@on_gpu
def test_the_layers_with_kernels_equal_those_without(monkeypatch: pytest.MonkeyPatch) -> None:
    import fdam_mm.layers.att_inv
    import fdam_mm.layers.freq_scale
    from fdam_mm.layers import AttInvAttention, FreqScale

    torch.manual_seed(0)
    attention = AttInvAttention(32, 2, gamma_init=0.5).to(DEVICE)
    scaling = FreqScale(32, groups=4, mlp_ratio=0.5).to(DEVICE)
    torch.nn.init.normal_(scaling.bases)
    x = torch.randn(2, 1 + 6 * 5, 32, device=DEVICE)

    def step() -> list[Tensor]:
        out = scaling(attention(x), hw=(6, 5), num_prefix_tokens=1)
        parameters = [*attention.parameters(), *scaling.parameters()]
        return [out, *torch.autograd.grad(out.square().mean(), parameters)]

    expected = step()
    for room in (fdam_mm.layers.att_inv, fdam_mm.layers.freq_scale):
        monkeypatch.setattr(room, "can_use_kernels", lambda x: True)
    for found, wanted in zip(step(), expected, strict=True):
        assert_equal(found, wanted, torch.float32)


FIGURES = ROOT / "benchmarks/results/kernels.json"


def test_the_committed_figures_spill_no_register() -> None:
    rows = json.loads(FIGURES.read_text())["kernels"]
    figures = [f for row in rows.values() for f in row.values()]
    assert {target for row in rows.values() for target in row} == {"sm_80", "sm_90"}
    assert all(f["spilled_bytes"] == 0 and f["registers"] <= 255 for f in figures)
    assert all(f["shared_bytes"] <= 99 << 10 for f in figures)  # of a block on most GPUs


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_the_kernels_compile_to_the_committed_figures(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = tmp_path / "kernels.json"
    command = [sys.executable, str(ROOT / "benchmarks/kernels.py"), "--out", str(out)]
    subprocess.run([*command, "--only", "32x32 bfloat16", "mix_backward"], env=env, check=True)
    committed, found = (json.loads(file.read_text()) for file in (FIGURES, out))
    if found["triton"] != committed["triton"]:
        pytest.skip("another triton compiles otherwise")
    assert found["kernels"] == {name: committed["kernels"][name] for name in found["kernels"]}
    assert len(found["kernels"]) == 3


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_the_table_of_the_docs_is_the_committed_figures() -> None:
    table = runpy.run_path(str(ROOT / "benchmarks/kernels.py"))["table"]
    assert table(json.loads(FIGURES.read_text())["kernels"]) in (ROOT / "docs/gpu.md").read_text()
