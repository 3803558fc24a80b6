"""Time one transformer block with FDAM, fast and textbook layers, over the plain block.

The variants run interleaved on the same input; figures are medians of the process's CPU time (of
CUDA events on a GPU) and their ratio to the plain block. `textbook` is the method as the paper
writes it: an attention matrix, repeated gates, complex FFT (`fdam_mm/layers/reference.py`).

example:
  python benchmarks/layers.py --dim 768 --grid 32 --threads 1
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fdam_mm.layers import AttInvAttention, FreqScale, reference
from fdam_mm.models.backbones.vit import Block


class TextbookAttention(AttInvAttention):
    """Attention through its matrix, AttInv with nothing fused."""

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (B, h, N, d)
        attention = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        y = (attention @ v).transpose(1, 2).reshape(batch, tokens, dim)
        v = v.transpose(1, 2).reshape(batch, tokens, dim)
        return self.proj(reference.att_inv(self.att_inv, x, v, y))


class TextbookFreqScale(FreqScale):
    """FreqScale by complex FFT, on a transposed map."""

    def forward(self, x: Tensor, hw: tuple[int, int], num_prefix_tokens: int = 0) -> Tensor:
        x_map = x.transpose(1, 2).reshape(len(x), -1, *hw)
        return reference.freq_scale(self, x_map).flatten(2).transpose(1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--grid", type=int, default=32, help="side of the square grid of tokens")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    blocks = make_blocks(args.dim, args.dim // args.head_dim, args.device)
    x = torch.randn(args.batch, args.grid**2, args.dim, device=args.device)
    hw = (args.grid, args.grid)
    print(f"dim {args.dim}, {args.grid} x {args.grid} tokens, batch {args.batch}, {args.dtype}")
    for name, train in (("inference", False), ("training step", True)):
        steps = {k: make_step(b, x, hw, train, args.dtype) for k, b in blocks.items()}
        report(name, measure(steps, args.rounds, args.device))
    for name, block in blocks.items():
        print(f"saved for backward, {name:9} {saved(block, x, hw):6.1f} x the input")


def make_blocks(dim: int, num_heads: int, device: str) -> dict[str, nn.Module]:
    """Plain, fast and textbook block with the same weights."""
    common = dict(mlp_ratio=4, qkv_bias=True, drop_path=0.0, layer_scale_init=1e-4)
    common |= dict(drop=0.0, attn_drop=0.0)
    common |= dict(act_cfg=dict(type="GELU"), norm_cfg=dict(type="LN", eps=1e-6))
    off = dict(low=False, high=False)
    plain = Block(dim, num_heads, **common, att_inv=off, freq_scale=None)
    fast, textbook = (Block(dim, num_heads, **common, att_inv={}, freq_scale={}) for _ in range(2))
    textbook.attn.__class__ = TextbookAttention
    textbook.freq_scale_1.__class__ = textbook.freq_scale_2.__class__ = TextbookFreqScale
    textbook.load_state_dict(fast.state_dict())
    blocks = dict(plain=plain, fast=fast, textbook=textbook)
    return {name: block.to(device) for name, block in blocks.items()}


def make_step(
    block: nn.Module, x: Tensor, hw: tuple[int, int], train: bool, dtype: str
) -> Callable[[], None]:
    def step() -> None:
        inputs = x.clone().requires_grad_(train)
        low = dtype != "float32"
        with (
            torch.set_grad_enabled(train),
            torch.autocast(x.device.type, getattr(torch, dtype) if low else None, enabled=low),
        ):
            out = block(inputs, hw)
        if train:
            out.backward(x)

    return step


def measure(
    steps: dict[str, Callable[[], None]], rounds: int, device: str
) -> dict[str, list[float]]:
    """Milliseconds of each step, interleaved, after two rounds to warm up."""
    times = {name: [] for name in steps}
    for index in range(rounds + 2):
        for name, step in steps.items():
            milliseconds = time_cuda(step) if device == "cuda" else time_cpu(step)
            if index >= 2:
                times[name].append(milliseconds)
    return times


def time_cpu(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return 1e3 * (time.process_time() - start)


def time_cuda(step: Callable[[], None]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def report(title: str, times: dict[str, list[float]]) -> None:
    plain = times["plain"]
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, plain, strict=True))
        print(f"{title:14} {name:9} {statistics.median(values):8.2f} ms  {ratio:5.3f} x plain")


def saved(block: nn.Module, x: Tensor, hw: tuple[int, int]) -> float:
    """Elements kept for backward over those of the input; weights and repeats not counted."""
    weights = {p.data_ptr() for p in block.parameters()}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        if t.data_ptr() not in weights:
            kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = block(x.clone().requires_grad_(), hw)
    del out
    return sum(kept.values()) / (x.numel() * x.element_size())


if __name__ == "__main__":
    main()
