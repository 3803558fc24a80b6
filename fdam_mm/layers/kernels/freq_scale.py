"""FreqScale on chip: one program takes some channels of an image, and reads and writes them once.

The spectrum T = R_H x R_Wᵀ has cosines and sines along both sides, and a filter M of the half
spectrum mixes each product of them with its partner (see `fourier.py`)::

    T' = A T + D T₂     T₂ = P_H T P_Wᵀ     y = x + R_Hᵀ T' R_W

P exchanges the cosine and the sine of a frequency, with signs; P R is a constant like R, so that
nothing is moved about on the chip. The filters are mixed as they are stored, S x (S // 2 + 1), and
resized by three products with constants.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from ..fourier import fourier_matrix, num_cosines, num_sines, resize_matrix
from ..fused import is_differentiated, keep_inputs, plain_backward, plain_jvp

WARPS = 8


@triton.jit
def _swap(t, ROWS: tl.constexpr, COLS: tl.constexpr, CHANNELS: tl.constexpr):
    """(ROWS, COLS * CHANNELS) -> (COLS, ROWS * CHANNELS)."""
    swapped = tl.permute(tl.reshape(t, (ROWS, COLS, CHANNELS)), (1, 0, 2))
    return tl.reshape(swapped, (COLS, ROWS * CHANNELS))


@triton.jit
def _matrix(ptr, ROWS: tl.constexpr, COLS: tl.constexpr):
    return tl.load(ptr + tl.arange(0, ROWS)[:, None] * COLS + tl.arange(0, COLS)[None, :])


@triton.jit
def _spectrum(
    x, rows_ptr, cols_ptr,
    HP: tl.constexpr, WP: tl.constexpr, CHANNELS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """(WP, HP * CHANNELS) -> (HP, WP * CHANNELS)."""
    along_w = tl.dot(_matrix(cols_ptr, WP, WP), x, input_precision=PRECISION)
    along_w = _swap(along_w, WP, HP, CHANNELS)
    return tl.dot(_matrix(rows_ptr, HP, HP), along_w, input_precision=PRECISION)


@triton.jit
def scale(
    x_ptr, out_ptr, routing_ptr, bases_ptr,
    rows_ptr, cols_ptr, rows2_ptr, cols2_ptr, even_ptr, odd_ptr, across_ptr,
    H, W, C, group, x_b, x_h, x_w, x_c, SIDE: tl.constexpr, FILTERS: tl.constexpr,
    HP: tl.constexpr, WP: tl.constexpr, SP: tl.constexpr, TP: tl.constexpr,
    CHANNELS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """x (B, H, W, C) of any strides -> out, contiguous; ``group`` channels share a routing.

    HP, WP, SP and TP are H, W, S and S // 2 + 1 padded to powers of two of at least 16.
    """
    image = tl.program_id(0).to(tl.int64)
    # Columns of the tiles: (h, channel), and (s, channel).
    h = tl.arange(0, HP * CHANNELS) // CHANNELS
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, HP * CHANNELS) % CHANNELS
    w = tl.arange(0, WP)
    inside = (w < W)[:, None] & ((h < H) & (channel < C))[None, :]
    x_at = image * x_b + w[:, None] * x_w + (h * x_h + channel * x_c)[None, :]

    s = tl.arange(0, SP * CHANNELS) // CHANNELS
    of = tl.program_id(1) * CHANNELS + tl.arange(0, SP * CHANNELS) % CHANNELS
    t = tl.arange(0, TP)
    half: tl.constexpr = SIDE // 2 + 1
    stored = (t < half)[:, None] & ((s < SIDE) & (of < C))[None, :]
    base_at = t[:, None] + (((of % group) * SIDE + s) * half)[None, :]
    routing_at = (image * (C // group) + of // group) * FILTERS
    mixed = tl.zeros((TP, SP * CHANNELS), tl.float32)
    for f in tl.static_range(FILTERS):
        base = tl.load(bases_ptr + f * group * SIDE * half + base_at, stored, 0.0)
        mixed += base * tl.load(routing_ptr + routing_at + f, of < C, 0.0)[None, :]
    filters = tl.dot(_matrix(across_ptr, WP, TP), mixed, input_precision=PRECISION)
    filters = _swap(filters, WP, SP, CHANNELS)  # (SP, WP * CHANNELS)

    x = tl.load(x_ptr + x_at, inside, 0.0).to(tl.float32)
    spectrum = _spectrum(x, rows2_ptr, cols2_ptr, HP, WP, CHANNELS, PRECISION)
    odd = tl.dot(_matrix(odd_ptr, HP, SP), filters, input_precision=PRECISION)
    scaled = odd * spectrum
    x = tl.load(x_ptr + x_at, inside, 0.0).to(tl.float32)  # anew: the chip's registers are few
    spectrum = _spectrum(x, rows_ptr, cols_ptr, HP, WP, CHANNELS, PRECISION)
    even = tl.dot(_matrix(even_ptr, HP, SP), filters, input_precision=PRECISION)
    scaled += even * spectrum

    back = tl.dot(tl.trans(_matrix(rows_ptr, HP, HP)), scaled, input_precision=PRECISION)
    back = _swap(back, HP, WP, CHANNELS)  # (WP, HP * CHANNELS)
    back = tl.dot(tl.trans(_matrix(cols_ptr, WP, WP)), back, input_precision=PRECISION)
    out = tl.load(x_ptr + x_at, inside, 0.0).to(tl.float32) + back
    out_at = ((image * H + h[None, :]) * W + w[:, None]) * C + channel[None, :]
    tl.store(out_ptr + out_at, out.to(out_ptr.dtype.element_ty), inside)


class Constants(NamedTuple):
    """What the kernel multiplies by, on one grid: float32, padded with zeros."""

    rows: Tensor  # (HP, HP): R_H
    cols: Tensor  # (WP, WP): R_W
    rows2: Tensor  # (HP, HP): P_H R_H
    cols2: Tensor  # (WP, WP): P_W R_W
    even: Tensor  # (HP, SP): resize along H, mean of ±k_h, of every row of R_H
    odd: Tensor  # (HP, SP): half difference, zero where the frequency has no sine
    across: Tensor  # (WP, TP): resize along W


@lru_cache(maxsize=64)
def constants(height: int, width: int, side: int, device: torch.device) -> Constants:
    """Built in a thread of its own, and so as ordinary tensors whatever the first call runs in."""

    def build() -> Constants:
        return Constants(*(t.float().to(device).contiguous() for t in _build(height, width, side)))

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(build).result()


def padded(size: int) -> int:
    """The side of a tile: a power of two, at least 16 as products need."""
    return max(16, triton.next_power_of_2(size))


def _build(height: int, width: int, side: int) -> Constants:
    hp, wp, sp, tp = (padded(n) for n in (height, width, side, side // 2 + 1))
    positive = resize_matrix(side, height)  # (H, S), rows in FFT order
    negative = positive[-torch.arange(height) % height]
    across = resize_matrix(side // 2 + 1, width // 2 + 1)  # (K_w, S // 2 + 1)
    rows, cols = fourier_matrix(height), fourier_matrix(width)
    of_row, of_col = _frequencies(height), _frequencies(width)
    partner_h, partner_w = _exchange(height), _exchange(width)
    paired = partner_h.abs().sum(1, keepdim=True)  # (H, 1), 1 where the frequency has a sine
    return Constants(
        rows=_pad(rows, hp, hp),
        cols=_pad(cols, wp, wp),
        rows2=_pad(partner_h @ rows, hp, hp),
        cols2=_pad(-partner_w @ cols, wp, wp),
        even=_pad(((positive + negative) / 2)[of_row], hp, sp),
        odd=_pad(paired * ((positive - negative) / 2)[of_row], hp, sp),
        across=_pad(across[of_col], wp, tp),
    )


def _frequencies(n: int) -> Tensor:
    """The frequency of every row of ``fourier_matrix(n)``, (n,)."""
    return torch.cat([torch.arange(num_cosines(n)), torch.arange(1, 1 + num_sines(n))])


def _exchange(n: int) -> Tensor:
    """P, (n, n): row k of the cosines takes the sine of k, and its sine minus the cosine."""
    k, sine = torch.arange(1, 1 + num_sines(n)), num_cosines(n) + torch.arange(num_sines(n))
    exchange = torch.zeros(n, n, dtype=torch.float64)
    exchange[k, sine], exchange[sine, k] = 1, -1
    return exchange


def _pad(t: Tensor, rows: int, cols: int) -> Tensor:
    return F.pad(t, (0, cols - t.shape[1], 0, rows - t.shape[0]))


def kernel_constants(height: int, width: int, filters: int, side: int, exact: bool) -> dict:
    """The constants of :func:`scale`; ``exact`` keeps products in float32, else they are TF32.

    A program takes as many channels as leave a 32 x 32 grid on chip without a spilled register
    (`benchmarks/kernels.py`).
    """
    return dict(
        SIDE=side,
        FILTERS=filters,
        HP=padded(height),
        WP=padded(width),
        SP=padded(side),
        TP=padded(side // 2 + 1),
        CHANNELS=2 if exact else 8,
        PRECISION="ieee" if exact else "tf32",
    )


def _run(x: Tensor, routing: Tensor, bases: Tensor) -> Tensor:
    batch, height, width, channels = x.shape
    filters, group, side, _ = bases.shape
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    sizes = kernel_constants(height, width, filters, side, exact=x.dtype == torch.float32)
    with torch.cuda.device_of(x):
        scale[(batch, triton.cdiv(channels, sizes["CHANNELS"]))](
            x, out, routing.contiguous(), bases.contiguous(),
            *constants(height, width, side, x.device), height, width, channels, group,
            *x.stride(), **sizes, num_warps=WARPS,
        )  # fmt: skip
    return out


class ScaleOnChip(torch.autograd.Function):
    """:func:`plain_scale_maps` on a GPU; ``apply`` takes its arguments."""

    @staticmethod
    def forward(x: Tensor, routing: Tensor, bases: Tensor) -> Tensor:
        return _run(x, routing, bases)

    setup_context = staticmethod(keep_inputs)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, routing, bases = ctx.saved_tensors
        if is_differentiated():
            return plain_backward(plain_scale_maps, (x, routing, bases), grad)
        grad_x = _run(grad, routing, bases) if ctx.needs_input_grad[0] else None  # self-adjoint
        if not any(ctx.needs_input_grad[1:]):
            return grad_x, None, None
        return grad_x, *_filter_grads(x, grad, routing, bases)

    @staticmethod
    def jvp(ctx, *tangents: Tensor | None) -> Tensor:
        return plain_jvp(plain_scale_maps, ctx.saved_tensors, tangents)


def _filter_grads(x: Tensor, grad: Tensor, routing: Tensor, bases: Tensor) -> tuple[Tensor, ...]:
    """Gradients of ``routing`` and ``bases``: those of A and D, brought to the stored size."""
    c = _unpadded(x, bases.shape[2])
    x32, grad32 = x.float(), grad.float()
    of_grad = _transform(grad32, c.rows, c.cols)
    # (B, H, W, C) for A and D alike: resized back by the transposes, they add up.
    along_even = of_grad * _transform(x32, c.rows, c.cols)
    along_odd = of_grad * _transform(x32, c.rows2, c.cols2)
    stored = torch.einsum("hs,bhwc->bswc", c.even, along_even)
    stored += torch.einsum("hs,bhwc->bswc", c.odd, along_odd)
    stored = torch.einsum("wt,bswc->bstc", c.across, stored)
    stored = stored.unflatten(3, (-1, bases.shape[1]))  # (B, S, S // 2 + 1, G, c)
    return (
        torch.einsum("bstgc,fcst->bgf", stored, bases),
        torch.einsum("bstgc,bgf->fcst", stored, routing),
    )


def _transform(x: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    return torch.einsum("ph,qw,bhwc->bpqc", rows, cols, x)


def _unpadded(x: Tensor, side: int) -> Constants:
    height, width = x.shape[1:3]
    half = side // 2 + 1
    c = constants(height, width, side, x.device)
    return Constants(
        rows=c.rows[:height, :height],
        cols=c.cols[:width, :width],
        rows2=c.rows2[:height, :height],
        cols2=c.cols2[:width, :width],
        even=c.even[:height, :side],
        odd=c.odd[:height, :side],
        across=c.across[:width, :half],
    )


def plain_scale_maps(x: Tensor, routing: Tensor, bases: Tensor) -> Tensor:
    """FreqScale after its routing MLP, without a kernel.

    Args:
        x: (B, H, W, C).
        routing: (B, G, f) in float32, the weights of the bases.
        bases: (f, c, S, S // 2 + 1) in float32, channels c = C / G of a group.

    Returns:
        ``x`` plus its filtered self: (B, H, W, C) in the dtype of ``x``.
    """
    c = _unpadded(x, bases.shape[2])
    x32 = x.float()
    mixed = torch.einsum("bgf,fcst->bstgc", routing, bases).flatten(3)  # (B, S, S // 2 + 1, C)
    even = torch.einsum("hs,wt,bstc->bhwc", c.even, c.across, mixed)
    odd = torch.einsum("hs,wt,bstc->bhwc", c.odd, c.across, mixed)
    scaled = even * _transform(x32, c.rows, c.cols) + odd * _transform(x32, c.rows2, c.cols2)
    return (x32 + _transform(scaled, c.rows.t(), c.cols.t())).to(x.dtype)
