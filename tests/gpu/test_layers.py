"""The layers on a GPU: the numbers of a CPU, half precision, compilation, layouts, CUDA graphs."""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from support.compiled import check_compiled
from torch import Tensor, nn

from fdam_mm.layers import AttInvAttention, FreqScale
from fdam_mm.layers.kernels import use_kernels

GRIDS = [(14, 14), (7, 10), (1, 5), (32, 32), (40, 33)]  # of which the last has no kernel
# Errors of 16 bits, of the largest value: an attention and two linears, or a filter.
TOLERANCE = {torch.bfloat16: 3e-2, torch.float16: 4e-3}


class Tokens(nn.Module):
    """An attention with AttInv, then FreqScale on its tokens, with parameters that show."""

    def __init__(self, dim: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.attention = AttInvAttention(dim, heads, gamma_init=0.5)
        self.scaling = FreqScale(dim, groups=4, mlp_ratio=0.5)
        nn.init.normal_(self.scaling.bases, std=0.5)

    def forward(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        return self.scaling(self.attention(x), hw=hw)


@pytest.fixture(params=["formulas", "kernels"])
def _with_and_without_kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    use_kernels(request.param == "kernels")
    yield
    use_kernels(None)


def results(layer: nn.Module, x: Tensor, hw: tuple[int, int]) -> list[Tensor]:
    """The output and the gradients of a random loss, in float64 on the CPU."""
    x = x.clone().requires_grad_()
    out = layer(x, hw)
    weights = torch.cos(torch.arange(out.numel(), dtype=torch.float64)).view(out.shape)
    loss = (out * weights.to(out)).sum()
    grads = torch.autograd.grad(loss, [x, *layer.parameters()])
    return [t.detach().double().cpu() for t in (out, *grads)]


def relative_errors(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    pairs = zip(found, expected, strict=True)
    return [((a - b).abs().max() / b.abs().max()).item() for a, b in pairs]


@pytest.mark.usefixtures("_with_and_without_kernels")
@pytest.mark.parametrize("hw", GRIDS, ids=str)
def test_float32(hw: tuple[int, int], device: torch.device) -> None:
    layer, x = Tokens().double(), torch.randn(2, hw[0] * hw[1], 32, dtype=torch.float64)
    expected = results(layer, x, hw)
    found = results(copy.deepcopy(layer).float().to(device), x.float().to(device), hw)
    errors = relative_errors(found, expected)
    assert errors[0] < 1e-5 and max(errors) < 1e-4, errors  # gradients sum over all tokens


@pytest.mark.usefixtures("_with_and_without_kernels")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("hw", [(14, 14), (32, 32), (40, 33)], ids=str)
def test_autocast(hw: tuple[int, int], dtype: torch.dtype, device: torch.device) -> None:
    layer, x = Tokens().double(), torch.randn(2, hw[0] * hw[1], 32, dtype=torch.float64)
    with torch.no_grad():
        expected = layer(x, hw)
        layer = copy.deepcopy(layer).float().to(device)
        with torch.autocast(device.type, dtype):
            out = layer(x.float().to(device), hw)
    assert out.dtype == dtype
    (error,) = relative_errors([out.double().cpu()], [expected])
    assert error < TOLERANCE[dtype]


@pytest.mark.usefixtures("_with_and_without_kernels")
def test_compiles_in_one_graph_for_sizes_that_change(cuda: torch.device) -> None:
    layer = Tokens().to(cuda)
    for hw in ((8, 8), (12, 10), (16, 9)):
        call = _on_grid(layer, hw)
        compiled = torch.compile(call, fullgraph=True, dynamic=True)
        check_compiled(layer, compiled, (torch.randn(2, hw[0] * hw[1], 32, device=cuda),))


def _on_grid(layer: nn.Module, hw: tuple[int, int]) -> nn.Module:
    class OnGrid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x, hw)

    return OnGrid()


@pytest.mark.usefixtures("_with_and_without_kernels")
@pytest.mark.parametrize("size", [(14, 14), (9, 70)], ids=str)
def test_channels_last(size: tuple[int, int], device: torch.device) -> None:
    layer = FreqScale(32, groups=4, mlp_ratio=0.5).to(device)
    nn.init.normal_(layer.bases)
    x = torch.randn(2, 32, *size, device=device)
    expected = layer(x)
    out = layer(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_with_and_without_kernels")
@pytest.mark.parametrize("hw", [(14, 14), (40, 33)], ids=str)
def test_cuda_graphs(hw: tuple[int, int], cuda: torch.device) -> None:
    layer = Tokens().to(cuda).eval()
    x = torch.randn(2, hw[0] * hw[1], 32, device=cuda)
    replay, out = captured(lambda: layer(x, hw))
    for _ in range(2):
        x.copy_(torch.randn_like(x))
        replay()
        with torch.no_grad():
            torch.testing.assert_close(out, layer(x, hw))


def captured(step: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """``step`` as a CUDA graph, and the tensor that its replay fills."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad(), torch.cuda.stream(side):
        step()  # what is built once is built before
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        out = step()
    return graph.replay, out


def test_memory_kept_for_the_backward(cuda: torch.device) -> None:
    """No tensor of N x N: four times the tokens keep four times the bytes."""
    layer = Tokens(dim=64).to(cuda)

    def kept(side: int) -> int:
        x = torch.randn(1, side * side, 64, device=cuda, requires_grad=True)
        layer(x, (side, side))  # constants and workspaces
        before = torch.cuda.memory_allocated()
        out = layer(x, (side, side))
        return torch.cuda.memory_allocated() - before + 0 * out.numel()

    assert kept(64) < 4.5 * kept(32)
