"""Time the selective scan, neighbourhood attention and the backbones of stages on a CPU.

- scan: `layers.selective_scan` against a loop over the steps, 64 x 64 tokens, both ways along rows
  and columns as VMamba has it: forward and backward, and how far the two are apart.
- neighbourhood: attention with its projections against mmseg's window attention of the same size,
  a training step (forward and backward).
- families: each backbone with FDAM over its plain twin, a forward and a training step; parameters
  added, and how far its outputs are from the plain twin's at the start.

Everything runs interleaved on random inputs; figures are medians of the process's CPU time.
Started again with the same file, it goes on.

example:
  python benchmarks/staged.py --threads 1 --rounds 5 --out benchmarks/results/staged.json
"""

import argparse
import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmseg.models.backbones.swin import WindowMSA
from torch import Tensor, nn

from fdam_mm.benchmarking.results import Cases, Measurement, measure_each
from fdam_mm.benchmarking.timing import measure
from fdam_mm.files import require_writable
from fdam_mm.layers.selective_scan import selective_scan
from fdam_mm.models import (
    NAT,
    SOFT,
    AttNet,
    CrossFormer,
    L2ViT,
    MambaVision,
    SGFormer,
    STViT,
    VMamba,
)
from fdam_mm.models.backbones.nat import NeighbourhoodAttention
from fdam_mm.models.backbones.windows import from_windows, to_windows

FAMILIES = (
    AttNet,
    CrossFormer,
    L2ViT,
    MambaVision,
    NAT,
    SGFormer,
    SOFT,
    STViT,
    VMamba,
)
FDAM = dict(att_inv=True, freq_scale=True)
SIZES = ((56, 64, 1), (56, 64, 4), (28, 128, 4), (14, 256, 4))  # side, channels, batch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=128, help="side of the backbones' pictures")
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    args = parser.parse_args()
    if args.out:
        require_writable(args.out)
    torch.set_num_threads(args.threads)
    command = f"benchmarks/staged.py --threads {args.threads} --rounds {args.rounds}"
    results = measure_each(measurements(args), command, "cpu", args.out, kind="staged")
    print(json.dumps(results["cases"], indent=1))


def measurements(args: argparse.Namespace) -> list[Measurement]:
    return [
        *(Measurement(dict(states=n), partial(scan, n, args.rounds)) for n in (1, 8)),
        *(
            Measurement(
                dict(map=f"{side} x {side}", channels=dim, batch=batch),
                partial(neighbourhood, side, dim, batch, args.rounds),
            )
            for side, dim, batch in SIZES
        ),
        *(
            Measurement(
                dict(family=kind.__name__, picture=f"{args.size} x {args.size}"),
                partial(family, kind, args.size, args.rounds),
            )
            for kind in FAMILIES
        ),
    ]


def scan(states: int, rounds: int, dim: int = 96, side: int = 64) -> Cases:
    torch.manual_seed(0)
    u, step = torch.randn(1, 2, side**2, dim), torch.rand(1, 2, side**2, dim)
    a = -torch.rand(2, dim, states) - 0.1
    b, c = torch.randn(2, 1, 2, side**2, states)
    inputs = [t.requires_grad_() for t in (u, step, a, b, c)]
    weight = torch.randn_like(u)
    results: dict[str, list[Tensor]] = {}

    def train(name: str, function: Callable[..., Tensor]) -> Callable[[], None]:
        def step() -> None:
            out = function(*inputs)
            results[name] = [out, *torch.autograd.grad((out * weight).sum(), inputs)]

        return step

    times = measure(
        {"loop": train("loop", loop), "scan": train("scan", selective_scan)}, rounds, "cpu"
    )
    apart = [
        float((ours - theirs).detach().norm() / theirs.detach().norm())
        for ours, theirs in zip(results["scan"], results["loop"], strict=True)
    ]
    case = dict(
        tokens=f"{side} x {side}",
        channels=dim,
        states=states,
        **ratio(times, "scan", "loop"),
        error_of_output=apart[0],
        largest_error_of_a_gradient=max(apart[1:]),
    )
    return [case]


def loop(u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """One step after the other."""
    decays = torch.exp(step.unsqueeze(-1) * a.unsqueeze(-3)).unbind(-3)
    drives = ((step * u).unsqueeze(-1) * b.unsqueeze(-2)).unbind(-3)
    state, out = torch.zeros_like(drives[0]), []
    for decay, drive, read in zip(decays, drives, c.unbind(-2), strict=True):
        state = decay * state + drive
        out.append((state * read.unsqueeze(-2)).sum(-1))
    return torch.stack(out, -2)


class WindowAttention(nn.Module):
    """mmseg's, of windows of 7 x 7: (B, H, W, C) -> the same."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attn = WindowMSA(dim, num_heads, (7, 7))

    def forward(self, x: Tensor) -> Tensor:
        return from_windows(self.attn(to_windows(x, 7)), 7, x.shape[1:3])


def neighbourhood(side: int, dim: int, batch: int, rounds: int) -> Cases:
    torch.manual_seed(0)
    off = dict(low=False, high=False)
    modules = {
        "window": WindowAttention(dim, dim // 32),
        "neighbourhood": NeighbourhoodAttention(dim, dim // 32, 7, 1, True, **off),
        "dilated": NeighbourhoodAttention(dim, dim // 32, 7, 2, True, **off),
    }
    x = torch.randn(batch, side, side, dim)
    times = measure({k: training_step(m, x) for k, m in modules.items()}, rounds, "cpu")
    case = dict(
        map=f"{side} x {side}",
        channels=dim,
        batch=batch,
        **ratio(times, "window", "neighbourhood"),
        dilated_over_window=ratio(times, "window", "dilated")["dilated_over_window"],
    )
    return [case]


def training_step(module: nn.Module, x: Tensor) -> Callable[[], None]:
    def step() -> None:
        outs = module(x.clone().requires_grad_())
        sum(out.sum() for out in (outs if isinstance(outs, tuple) else [outs])).backward()

    return step


def family(kind: type[nn.Module], size: int, rounds: int) -> Cases:
    torch.manual_seed(0)
    fdam, plain = kind(fdam=FDAM), kind()
    plain.load_state_dict(fdam.state_dict(), strict=False)
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        pairs = zip(fdam.eval()(x), plain.eval()(x), strict=True)
        change = max(float((ours - theirs).norm() / theirs.norm()) for ours, theirs in pairs)

    def forward(model: nn.Module) -> Callable[[], None]:
        return torch.no_grad()(lambda: model(x))

    models = {"plain": plain, "fdam": fdam}
    forwards = measure({k: forward(m) for k, m in models.items()}, rounds, "cpu")
    steps = measure({k: training_step(m, x) for k, m in models.items()}, rounds, "cpu")
    count = {k: sum(p.numel() for p in m.parameters()) for k, m in models.items()}
    case = dict(
        family=kind.__name__,
        picture=f"{size} x {size}",
        parameters=count["plain"],
        added=count["fdam"] - count["plain"],
        largest_change_at_start=change,
        forward=ratio(forwards, "plain", "fdam"),
        training_step=ratio(steps, "plain", "fdam"),
    )
    return [case]


def ratio(times: dict[str, list[float]], base: str, other: str) -> dict[str, float]:
    """Medians in milliseconds, and the median of ``other`` over ``base`` round by round."""
    pairs = zip(times[other], times[base], strict=True)
    return {
        f"{base}_ms": round(statistics.median(times[base]), 2),
        f"{other}_ms": round(statistics.median(times[other]), 2),
        f"{other}_over_{base}": round(statistics.median(a / b for a, b in pairs), 4),
    }


if __name__ == "__main__":
    main()
