"""One transformer block, plain, with FDAM and with the textbook's FDAM; and FreqScale's forms."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fdam_mm.layers import FreqScale

from .memory import saved_for_backward
from .textbook import as_textbook
from .timing import measure_all

Block = Callable[[Tensor, tuple[int, int]], Tensor]
MODES = ("inference", "step")  # a forward without gradients; a forward and a backward


def bench_block(
    kind: str,
    dim: int,
    grid: int,
    batch: int,
    mode: str,
    variants: tuple[str, ...],
    rounds: int,
    device: str,
    dtype: str,
) -> list[dict[str, Any]]:
    """Time a block on a square grid: a case.

    Args:
        kind: ``"vit"``, heads of 64 channels and LayerScale, or ``"mit"``, SegFormer's first
            stage: one head on keys and values of a grid that is 8 times as coarse.
        dim: Channels.
        grid: Side of the grid of tokens.
        batch: Pictures.
        mode: Of :data:`MODES`; with a training step also what a forward keeps.
        variants: Of ``"plain"``, ``"fdam"`` and ``"reference"``; ratios are to the first.
        rounds: Of :func:`.timing.measure`.
        device: Where.
        dtype: ``"float32"``, or the 16-bit type of autocast.
    """
    torch.manual_seed(0)
    blocks = {name: make_block(kind, dim, name).to(device) for name in variants}
    x = torch.randn(batch, grid**2, dim, device=device)
    hw = (grid, grid)
    steps = {k: block_step(b, x, hw, mode == "step", dtype) for k, b in blocks.items()}
    found = measure_all(steps, rounds, device)
    for name, block in blocks.items() if mode == "step" else ():
        inputs = x.clone().requires_grad_()
        saved = saved_for_backward(block, lambda b=block, i=inputs: b(i, hw))
        relative = round(saved / (x.numel() * x.element_size()), 3)
        found[name]["saved_over_input"] = relative
    case = dict(block=kind, dim=dim, grid=grid, batch=batch, dtype=dtype, mode=mode)
    return [dict(**case, rounds=rounds, variants=found)]


def make_block(kind: str, dim: int, variant: str) -> nn.Module:
    """One block, see :func:`bench_block`."""
    plain = variant == "plain"
    fdam = dict(
        att_inv=dict(low=False, high=False) if plain else {},
        freq_scale=None if plain else {},
    )
    common = dict(mlp_ratio=4, qkv_bias=True, drop=0.0, attn_drop=0.0, drop_path=0.0)
    common |= dict(act_cfg=dict(type="GELU"), norm_cfg=dict(type="LN", eps=1e-6))
    if kind == "vit":
        from fdam_mm.models.backbones import vit

        block = vit.Block(dim, max(1, dim // 64), layer_scale_init=1e-4, **common, **fdam)
    else:
        from fdam_mm.models.backbones import mit

        block = mit.Block(dim, 1, 8, **common, **fdam)
    return as_textbook(block) if variant == "reference" else block


def _on_tokens(form: Callable[[Tensor], Tensor]) -> Block:
    return lambda x, hw: form(x.unflatten(1, hw)).flatten(1, 2)


def block_step(
    block: Block, x: Tensor, hw: tuple[int, int], train: bool, dtype: str
) -> Callable[[], None]:
    """A forward of ``block``, and a backward where ``train``."""

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


def bench_forms(
    dim: int, grid: int, batch: int, mode: str, rounds: int, device: str
) -> list[dict[str, Any]]:
    """Time FreqScale alone by Fourier matrices and by the FFT, see :func:`bench_block`."""
    torch.manual_seed(0)
    layer = FreqScale(dim).to(device)
    forms: dict[str, Callable[[Tensor], Tensor]] = dict(
        matrices=layer.by_matrices, fft=layer.by_fft
    )
    x = torch.randn(batch, grid**2, dim, device=device)
    steps = {
        name: block_step(_on_tokens(form), x, (grid, grid), mode == "step", "float32")
        for name, form in forms.items()
    }
    found = measure_all(steps, rounds, device)
    case = dict(layer="FreqScale", dim=dim, grid=grid, batch=batch, mode=mode)
    return [dict(**case, rounds=rounds, variants=found)]
