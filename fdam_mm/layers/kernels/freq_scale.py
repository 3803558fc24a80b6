"""FreqScale on chip: one program takes some channels of an image, and reads and writes them once.

The spectrum has cosines and sines along both sides, so it comes in four quadrants, and a filter M
of the half spectrum mixes each with its opposite (see `fourier.py`)::

    cc' = A cc - D ss     ss' = A ss - D cc     sc' = A sc + D cs     cs' = A cs + D sc

Sines are as many as cosines here: the frequency 0 has none, and its place is taken by the cosine
of the highest frequency of an even side, which has none either. The filters are mixed as they are
stored, S x (S // 2 + 1), and resized by products with constants.

Legend of the shape comments: B batch, P prefix tokens, N = H * W, C channels, G groups, f filters.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from ..fourier import fourier_matrix, num_cosines, resize_matrix
from ..fused import is_differentiated, keep_inputs, plain_backward, plain_jvp
from .launch import on_device_of


@triton.jit
def _swap(t, ROWS: tl.constexpr, COLS: tl.constexpr, CHANNELS: tl.constexpr):
    """(ROWS, COLS * CHANNELS) -> (COLS, ROWS * CHANNELS)."""
    swapped = tl.permute(tl.reshape(t, (ROWS, COLS, CHANNELS)), (1, 0, 2))
    return tl.reshape(swapped, (COLS, ROWS * CHANNELS))


@triton.jit
def _matrix(ptr, which: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    """The ``which``-th matrix of a constant (..., ROWS, COLS)."""
    at = tl.arange(0, ROWS)[:, None] * COLS + tl.arange(0, COLS)[None, :]
    return tl.load(ptr + which * ROWS * COLS + at)


@triton.jit
def _transposed(ptr, which: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Its transpose, (COLS, ROWS)."""
    at = tl.arange(0, COLS)[:, None] + tl.arange(0, ROWS)[None, :] * COLS
    return tl.load(ptr + which * ROWS * COLS + at)


@triton.jit
def _quadrants(
    x, rows_ptr, cols_ptr,
    HP: tl.constexpr, WP: tl.constexpr, MH: tl.constexpr, MW: tl.constexpr,
    CHANNELS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """(WP, HP * CHANNELS) -> cc, cs, sc, ss, each (MH, MW * CHANNELS); the first is along H."""
    cosines, sines = _matrix(rows_ptr, 0, MH, HP), _matrix(rows_ptr, 1, MH, HP)
    along = tl.dot(_matrix(cols_ptr, 0, MW, WP), x, input_precision=PRECISION)
    along = _swap(along, MW, HP, CHANNELS)
    cc = tl.dot(cosines, along, input_precision=PRECISION)
    sc = tl.dot(sines, along, input_precision=PRECISION)
    along = tl.dot(_matrix(cols_ptr, 1, MW, WP), x, input_precision=PRECISION)
    along = _swap(along, MW, HP, CHANNELS)
    cs = tl.dot(cosines, along, input_precision=PRECISION)
    ss = tl.dot(sines, along, input_precision=PRECISION)
    return cc, cs, sc, ss


@triton.jit
def _image(
    cc, cs, sc, ss, rows_ptr, cols_ptr,
    HP: tl.constexpr, WP: tl.constexpr, MH: tl.constexpr, MW: tl.constexpr,
    CHANNELS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The inverse of :func:`_quadrants`."""
    cosines, sines = _transposed(rows_ptr, 0, MH, HP), _transposed(rows_ptr, 1, MH, HP)
    along = tl.dot(cosines, cc, input_precision=PRECISION)
    along = tl.dot(sines, sc, along, input_precision=PRECISION)
    along = _swap(along, HP, MW, CHANNELS)
    x = tl.dot(_transposed(cols_ptr, 0, MW, WP), along, input_precision=PRECISION)
    along = tl.dot(cosines, cs, input_precision=PRECISION)
    along = tl.dot(sines, ss, along, input_precision=PRECISION)
    along = _swap(along, HP, MW, CHANNELS)
    return tl.dot(_transposed(cols_ptr, 1, MW, WP), along, x, input_precision=PRECISION)


@triton.jit
def _filters(
    routing_ptr, bases_ptr, even_ptr, odd_ptr, across_ptr, image, block, C, group,
    SIDE: tl.constexpr, FILTERS: tl.constexpr, SP: tl.constexpr, TP: tl.constexpr,
    MH: tl.constexpr, MW: tl.constexpr, ONE_GROUP: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """A of the four quadrants, and D; each (MH, MW * CHANNELS)."""
    half: tl.constexpr = SIDE // 2 + 1
    t = tl.arange(0, TP)
    s = tl.arange(0, SP * CHANNELS) // CHANNELS
    of = tl.arange(0, SP * CHANNELS) % CHANNELS
    first = block * CHANNELS
    mixed = tl.zeros((TP, SP * CHANNELS), tl.float32)
    if ONE_GROUP:  # of all channels of a program: no division by element, one weight by filter
        stored = (t < half)[:, None] & (s < SIDE)[None, :]
        base_at = t[:, None] + (((first % group + of) * SIDE + s) * half)[None, :]
        routing_at = (image * (C // group) + first // group) * FILTERS
        for f in tl.static_range(FILTERS):
            base = tl.load(bases_ptr + f * group * SIDE * half + base_at, stored, 0.0)
            mixed += base * tl.load(routing_ptr + routing_at + f)
    else:
        channel = first + of
        stored = (t < half)[:, None] & ((s < SIDE) & (channel < C))[None, :]
        base_at = t[:, None] + (((channel % group) * SIDE + s) * half)[None, :]
        routings_at = (image * (C // group) + channel // group) * FILTERS
        for f in tl.static_range(FILTERS):
            base = tl.load(bases_ptr + f * group * SIDE * half + base_at, stored, 0.0)
            mixed += base * tl.load(routing_ptr + routings_at + f, channel < C, 0.0)[None, :]
    even_c, even_s = _matrix(even_ptr, 0, MH, SP), _matrix(even_ptr, 1, MH, SP)
    of_c = tl.dot(_matrix(across_ptr, 0, MW, TP), mixed, input_precision=PRECISION)
    of_c = _swap(of_c, MW, SP, CHANNELS)  # (SP, MW * CHANNELS)
    of_s = tl.dot(_matrix(across_ptr, 1, MW, TP), mixed, input_precision=PRECISION)
    of_s = _swap(of_s, MW, SP, CHANNELS)
    a_cc = tl.dot(even_c, of_c, input_precision=PRECISION)
    a_sc = tl.dot(even_s, of_c, input_precision=PRECISION)
    a_cs = tl.dot(even_c, of_s, input_precision=PRECISION)
    a_ss = tl.dot(even_s, of_s, input_precision=PRECISION)
    d = tl.dot(_matrix(odd_ptr, 0, MH, SP), of_c, input_precision=PRECISION)
    unpaired = tl.arange(0, MW * CHANNELS) < CHANNELS  # along W; those along H are zero in `odd`
    return a_cc, a_cs, a_sc, a_ss, tl.where(unpaired[None, :], 0.0, d)


@triton.jit
def scale(
    x_ptr, out_ptr, shortcut_ptr, gamma_ptr, routing_ptr, bases_ptr,
    rows_ptr, cols_ptr, even_ptr, odd_ptr, across_ptr,
    H, W, C, group, x_b, x_h, x_w, x_c, s_b, s_h, s_w, s_c, o_b, o_h, o_w, o_c,
    SHORTCUT: tl.constexpr, GAMMA: tl.constexpr, SIDE: tl.constexpr, FILTERS: tl.constexpr,
    HP: tl.constexpr, WP: tl.constexpr, SP: tl.constexpr, TP: tl.constexpr,
    MH: tl.constexpr, MW: tl.constexpr, ONE_GROUP: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """x (B, H, W, C) -> out = [shortcut +] [gamma *] (x + its filtered self), of any strides.

    ``group`` channels share a routing; ONE_GROUP: it is a multiple of CHANNELS. HP, WP, SP and TP
    are H, W, S and S // 2 + 1 padded to powers of two of at least 16, MH and MW the halves of H
    and W rounded up, likewise.
    """
    image, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    h = tl.arange(0, HP * CHANNELS) // CHANNELS
    channel = block * CHANNELS + tl.arange(0, HP * CHANNELS) % CHANNELS
    w = tl.arange(0, WP)
    inside = (w < W)[:, None] & ((h < H) & (channel < C))[None, :]
    x_at = image * x_b + w[:, None] * x_w + (h * x_h + channel * x_c)[None, :]
    x = tl.load(x_ptr + x_at, inside, 0.0).to(tl.float32)
    cc, cs, sc, ss = _quadrants(x, rows_ptr, cols_ptr, HP, WP, MH, MW, CHANNELS, PRECISION)
    a_cc, a_cs, a_sc, a_ss, d = _filters(
        routing_ptr, bases_ptr, even_ptr, odd_ptr, across_ptr, image, block, C, group,
        SIDE, FILTERS, SP, TP, MH, MW, ONE_GROUP, CHANNELS, PRECISION,
    )  # fmt: skip
    out = _image(
        a_cc * cc - d * ss, a_cs * cs + d * sc, a_sc * sc + d * cs, a_ss * ss - d * cc,
        rows_ptr, cols_ptr, HP, WP, MH, MW, CHANNELS, PRECISION,
    )  # fmt: skip
    out += tl.load(x_ptr + x_at, inside, 0.0).to(tl.float32)  # anew: the chip's registers are few
    if GAMMA:
        out *= tl.load(gamma_ptr + channel, channel < C, 0.0)[None, :]
    if SHORTCUT:
        s_at = image * s_b + w[:, None] * s_w + (h * s_h + channel * s_c)[None, :]
        out += tl.load(shortcut_ptr + s_at, inside, 0.0).to(tl.float32)
    out_at = image * o_b + w[:, None] * o_w + (h * o_h + channel * o_c)[None, :]
    tl.store(out_ptr + out_at, out.to(out_ptr.dtype.element_ty), inside)


@triton.jit
def scale_backward(
    grad_ptr, x_ptr, gamma_ptr, routing_ptr, bases_ptr,
    grad_x_ptr, grad_gamma_ptr, grad_stored_ptr,
    rows_ptr, cols_ptr, even_ptr, odd_ptr, across_ptr,
    H, W, C, group, g_b, g_h, g_w, g_c, x_b, x_h, x_w, x_c, o_b, o_h, o_w, o_c,
    GAMMA: tl.constexpr, SIDE: tl.constexpr, FILTERS: tl.constexpr,
    HP: tl.constexpr, WP: tl.constexpr, SP: tl.constexpr, TP: tl.constexpr,
    MH: tl.constexpr, MW: tl.constexpr, ONE_GROUP: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradients of x, of gamma per image (B, C), and of the mixed filters as they are stored,
    (B, C, S, S // 2 + 1)."""
    image, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    h = tl.arange(0, HP * CHANNELS) // CHANNELS
    channel = block * CHANNELS + tl.arange(0, HP * CHANNELS) % CHANNELS
    w = tl.arange(0, WP)
    inside = (w < W)[:, None] & ((h < H) & (channel < C))[None, :]
    x_at = image * x_b + w[:, None] * x_w + (h * x_h + channel * x_c)[None, :]
    g_at = image * g_b + w[:, None] * g_w + (h * g_h + channel * g_c)[None, :]
    x = tl.load(x_ptr + x_at, inside, 0.0).to(tl.float32)
    g = tl.load(grad_ptr + g_at, inside, 0.0).to(tl.float32)
    along_gamma = tl.sum(x * g, 0)  # (HP * CHANNELS,)
    of_channel = tl.sum(tl.reshape(along_gamma, (HP, CHANNELS)), 0)
    cc, cs, sc, ss = _quadrants(x, rows_ptr, cols_ptr, HP, WP, MH, MW, CHANNELS, PRECISION)
    g_cc, g_cs, g_sc, g_ss = _quadrants(g, rows_ptr, cols_ptr, HP, WP, MH, MW, CHANNELS, PRECISION)
    own = block * CHANNELS + tl.arange(0, CHANNELS)

    # The filters' gradients, brought to the stored size by the transposes.
    even_c, even_s = _transposed(even_ptr, 0, MH, SP), _transposed(even_ptr, 1, MH, SP)
    d = g_sc * cs + g_cs * sc - g_cc * ss - g_ss * cc
    unpaired = tl.arange(0, MW * CHANNELS) < CHANNELS
    d = tl.where(unpaired[None, :], 0.0, d)
    of_c = tl.dot(even_c, g_cc * cc, input_precision=PRECISION)
    of_c = tl.dot(even_s, g_sc * sc, of_c, input_precision=PRECISION)
    of_c = tl.dot(_transposed(odd_ptr, 0, MH, SP), d, of_c, input_precision=PRECISION)
    of_c = _swap(of_c, SP, MW, CHANNELS)  # (MW, SP * CHANNELS)
    mixed = tl.dot(_transposed(across_ptr, 0, MW, TP), of_c, input_precision=PRECISION)
    of_s = tl.dot(even_c, g_cs * cs, input_precision=PRECISION)
    of_s = tl.dot(even_s, g_ss * ss, of_s, input_precision=PRECISION)
    of_s = _swap(of_s, SP, MW, CHANNELS)
    mixed = tl.dot(_transposed(across_ptr, 1, MW, TP), of_s, mixed, input_precision=PRECISION)
    half: tl.constexpr = SIDE // 2 + 1
    t = tl.arange(0, TP)
    s = tl.arange(0, SP * CHANNELS) // CHANNELS
    of = block * CHANNELS + tl.arange(0, SP * CHANNELS) % CHANNELS
    stored = (t < half)[:, None] & ((s < SIDE) & (of < C))[None, :]
    stored_at = t[:, None] + (((image * C + of) * SIDE + s) * half)[None, :]
    if GAMMA:
        mixed *= tl.load(gamma_ptr + of, of < C, 0.0)[None, :]
    tl.store(grad_stored_ptr + stored_at, mixed, stored)

    # The map is its own transpose.
    a_cc, a_cs, a_sc, a_ss, d = _filters(
        routing_ptr, bases_ptr, even_ptr, odd_ptr, across_ptr, image, block, C, group,
        SIDE, FILTERS, SP, TP, MH, MW, ONE_GROUP, CHANNELS, PRECISION,
    )  # fmt: skip
    to_cc, to_cs = a_cc * g_cc - d * g_ss, a_cs * g_cs + d * g_sc
    to_sc, to_ss = a_sc * g_sc + d * g_cs, a_ss * g_ss - d * g_cc
    if GAMMA:
        along = tl.sum(to_cc * cc + to_cs * cs + to_sc * sc + to_ss * ss, 0)
        of_channel += tl.sum(tl.reshape(along, (MW, CHANNELS)), 0)
        tl.store(grad_gamma_ptr + image * C + own, of_channel, own < C)
    out = _image(
        to_cc, to_cs, to_sc, to_ss, rows_ptr, cols_ptr, HP, WP, MH, MW, CHANNELS, PRECISION
    )
    out += tl.load(grad_ptr + g_at, inside, 0.0).to(tl.float32)
    if GAMMA:
        out *= tl.load(gamma_ptr + channel, channel < C, 0.0)[None, :]
    out_at = image * o_b + w[:, None] * o_w + (h * o_h + channel * o_c)[None, :]
    tl.store(grad_x_ptr + out_at, out.to(grad_x_ptr.dtype.element_ty), inside)


class Constants(NamedTuple):
    """What the kernels multiply by, on one grid: float32, padded with zeros."""

    rows: Tensor  # (2, MH, HP): Fourier matrix of H, cosines and sines
    cols: Tensor  # (2, MW, WP): of W
    even: Tensor  # (2, MH, SP): resize along H, mean of ±k, for the rows of `rows`
    odd: Tensor  # (1, MH, SP): half difference, zero where the frequency has no sine
    across: Tensor  # (2, MW, TP): resize along W, for the rows of `cols`


@lru_cache(maxsize=64)
def constants(height: int, width: int, side: int, device: torch.device) -> Constants:
    """Built in a thread of its own, and so as ordinary tensors whatever the first call runs in."""

    def build() -> Constants:
        return Constants(*(t.float().to(device).contiguous() for t in _build(height, width, side)))

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(build).result()


def _build(height: int, width: int, side: int) -> Constants:
    positive = resize_matrix(side, height)  # (H, S), rows in FFT order
    negative = positive[-torch.arange(height) % height]
    across = resize_matrix(side // 2 + 1, num_cosines(width))  # (K_w, S // 2 + 1)
    even, odd = (positive + negative) / 2, (positive - negative) / 2
    paired = (height + 1) // 2  # frequencies from 0 to below half the side
    found = Constants(
        rows=_cosines_and_sines(height),
        cols=_cosines_and_sines(width),
        even=_with_highest(even[: num_cosines(height)], height),
        odd=torch.cat([torch.zeros(1, side), odd[1:paired]])[None],
        across=_with_highest(across, width),
    )
    return Constants(*(F.pad(t, _padding(t)) for t in found))


def _cosines_and_sines(n: int) -> Tensor:
    """(2, M, n) with M half of n, rounded up."""
    matrix, num = fourier_matrix(n), num_cosines(n)
    half = (n + 1) // 2
    highest = matrix[half:num] if n % 2 == 0 else torch.zeros(1, n)
    return torch.stack([matrix[:half], torch.cat([highest, matrix[num:]])])


def _with_highest(of_cosines: Tensor, n: int) -> Tensor:
    """What belongs to the cosines of a side n, (K, S) -> (2, M, S) for cosines and sines."""
    half = (n + 1) // 2
    highest = of_cosines[half:] if n % 2 == 0 else torch.zeros(1, of_cosines.shape[1])
    return torch.stack([of_cosines[:half], torch.cat([highest, of_cosines[1:half]])])


def _padding(t: Tensor) -> tuple[int, int, int, int]:
    return 0, padded(t.shape[2]) - t.shape[2], 0, padded(t.shape[1]) - t.shape[1]


def padded(size: int) -> int:
    """The side of a tile: a power of two, at least 16 as products need."""
    return max(16, triton.next_power_of_2(size))


class Tile(NamedTuple):
    """How a kernel is cut: channels and warps of a program, and the most registers of a thread."""

    channels: int
    warps: int
    registers: int | None = None


# Of each kernel for TF32 products and for those close to float32, on tiles of 16 and of 32: on an
# H100 the fastest that benchmarks/tune_kernels.py tried, of those whose shared memory fits on the
# GPUs of Ampere and Ada too.
TILES = {
    ("scale", "tf32", 16): Tile(8, 8, 128),
    ("scale", "tf32", 32): Tile(8, 4),
    ("scale", "tf32x3", 16): Tile(8, 4),
    ("scale", "tf32x3", 32): Tile(8, 4),
    ("scale_backward", "tf32", 16): Tile(8, 4),
    ("scale_backward", "tf32", 32): Tile(4, 4),
    ("scale_backward", "tf32x3", 16): Tile(8, 4),
    ("scale_backward", "tf32x3", 32): Tile(8, 8),
}


def launch_options(
    kernel: str, height: int, width: int, bases: tuple[int, ...], exact: bool
) -> dict[str, Any]:
    """The constants of a kernel and its warps, for bases (f, c, S, S // 2 + 1).

    ``exact`` keeps products close to float32, by three of TF32; else one of TF32 serves.
    """
    filters, group, side, _ = bases
    precision = "tf32x3" if exact else "tf32"
    tile = TILES[kernel, precision, max(padded(height), padded(width))]
    options = {} if tile.registers is None else dict(maxnreg=tile.registers)
    return options | dict(
        SIDE=side,
        FILTERS=filters,
        HP=padded(height),
        WP=padded(width),
        SP=padded(side),
        TP=padded(side // 2 + 1),
        MH=padded((height + 1) // 2),
        MW=padded((width + 1) // 2),
        ONE_GROUP=group % tile.channels == 0,
        CHANNELS=tile.channels,
        PRECISION=precision,
        num_warps=tile.warps,
    )


class ScaleOnChip(torch.autograd.Function):
    """:func:`plain_scale` on a GPU; ``apply`` takes its arguments, by position."""

    @staticmethod
    def forward(
        x: Tensor,
        routing: Tensor,
        bases: Tensor,
        gamma: Tensor | None,
        shortcut: Tensor | None,
        hw: tuple[int, int],
        dtype: torch.dtype,
    ) -> Tensor:
        out = torch.empty(x.shape, dtype=dtype, device=x.device)
        _copy_prefix(out, x, gamma, shortcut, hw)
        maps, out_maps = _maps(x, hw), _maps(out, hw)
        added = maps if shortcut is None else _maps(shortcut, hw)
        options, grid = _launch("scale", maps, bases)
        with on_device_of(x):
            scale[grid](
                maps, out_maps, added, bases if gamma is None else gamma.contiguous(),
                routing.contiguous(), bases.contiguous(),
                *constants(*hw, bases.shape[2], x.device), *hw, maps.shape[3], bases.shape[1],
                *maps.stride(), *added.stride(), *out_maps.stride(),
                SHORTCUT=shortcut is not None, GAMMA=gamma is not None, **options,
            )  # fmt: skip
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        keep_inputs(ctx, inputs[:5], output)
        ctx.plain = partial(plain_scale, hw=inputs[5], dtype=inputs[6])
        ctx.hw = inputs[5]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if is_differentiated():
            return *plain_backward(ctx.plain, ctx.saved_tensors, grad), None, None
        x, routing, bases, gamma, shortcut = ctx.saved_tensors
        grads = scale_maps_backward(grad, x, routing, bases, gamma, ctx.hw)
        return *grads, None if shortcut is None else grad.to(shortcut.dtype), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        return plain_jvp(ctx.plain, ctx.saved_tensors, tangents[:5])


def _maps(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """(B, P + N, C), or (B, H, W, C) -> the grid, (B, H, W, C)."""
    return x if x.ndim == 4 else x[:, x.shape[1] - hw[0] * hw[1] :].unflatten(1, hw)


def _prefix(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """(B, P, C), the tokens before the grid."""
    return x[:, :0].flatten(1, 2) if x.ndim == 4 else x[:, : x.shape[1] - hw[0] * hw[1]]


def _copy_prefix(
    out: Tensor, x: Tensor, gamma: Tensor | None, shortcut: Tensor | None, hw: tuple[int, int]
) -> None:
    prefix = _prefix(x, hw)
    if prefix.shape[1] == 0:
        return
    prefix = prefix if gamma is None else gamma * prefix
    _prefix(out, hw).copy_(prefix if shortcut is None else prefix + _prefix(shortcut, hw))


def _launch(kernel: str, maps: Tensor, bases: Tensor) -> tuple[dict[str, Any], tuple[int, int]]:
    """Options and grid of a kernel on maps (B, H, W, C)."""
    batch, height, width, channels = maps.shape
    exact = maps.dtype == torch.float32
    options = launch_options(kernel, height, width, tuple(bases.shape), exact)
    return options, (batch, triton.cdiv(channels, options["CHANNELS"]))


def scale_maps_backward(
    grad: Tensor,
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    hw: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of x, routing, bases and gamma of :func:`plain_scale`."""
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    maps, grads, out = (_maps(t, hw) for t in (x, grad, grad_x))
    batch, channels = maps.shape[0], maps.shape[3]
    stored = torch.empty(batch, channels, *bases.shape[2:], device=x.device)
    grad_gamma = None if gamma is None else torch.empty(batch, channels, device=x.device)
    options, grid = _launch("scale_backward", maps, bases)
    with on_device_of(x):
        scale_backward[grid](
            grads, maps, bases if gamma is None else gamma.contiguous(),
            routing.contiguous(), bases.contiguous(),
            out, stored if grad_gamma is None else grad_gamma, stored,
            *constants(*hw, bases.shape[2], x.device), *hw, channels, bases.shape[1],
            *grads.stride(), *maps.stride(), *out.stride(),
            GAMMA=gamma is not None, **options,
        )  # fmt: skip
    of_prefix = _prefix(grad, hw)
    if of_prefix.shape[1]:
        _prefix(grad_x, hw).copy_(of_prefix if gamma is None else gamma * of_prefix)
    if grad_gamma is not None:
        grad_gamma = grad_gamma.sum(0) + (of_prefix.float() * _prefix(x, hw)).sum((0, 1))
    return grad_x, *_filter_grads(stored, routing, bases), grad_gamma


def _filter_grads(stored: Tensor, routing: Tensor, bases: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of ``routing`` and ``bases`` from that of their product, (B, C, S, T)."""
    stored = stored.view(-1, bases[0].numel())  # (B * G, c * S * T)
    weights, flat = routing.flatten(0, 1), bases.flatten(1)  # (B * G, f), (f, c * S * T)
    return (stored @ flat.t()).view_as(routing), (weights.t() @ stored).view_as(bases)


def plain_scale(
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None = None,
    shortcut: Tensor | None = None,
    *,
    hw: tuple[int, int],
    dtype: torch.dtype,
) -> Tensor:
    """FreqScale after its routing MLP, with LayerScale and the residual, without a kernel.

    Args:
        x: (B, P + N, C), the grid's N = H * W tokens last; or (B, H, W, C).
        routing: (B, G, f) in float32, the weights of the bases.
        bases: (f, c, S, S // 2 + 1) in float32, channels c = C / G of a group.
        gamma: (C,) in float32, what the result is multiplied by.
        shortcut: Added to it, in the shape of ``x``.
        hw: The grid (H, W).
        dtype: Of the result.

    Returns:
        ``shortcut + gamma * (x + filtered x)``; prefix tokens are not filtered.
    """
    c = constants(*hw, bases.shape[2], x.device)
    maps = _maps(x, hw).float()
    mixed = torch.einsum("bgf,fcst->bgcst", routing, bases).flatten(1, 2)  # (B, C, S, T)
    # Quadrants (i along H, j along W), and their opposites.
    rows, cols = c.rows[:, :, : hw[0]], c.cols[:, :, : hw[1]]
    even, odd = c.even[:, :, : bases.shape[2]], c.odd[0, :, : bases.shape[2]]
    across = c.across[:, :, : bases.shape[3]]
    spectrum = torch.einsum("ikh,jlw,bhwc->bijklc", rows, cols, maps)
    a = torch.einsum("iks,jlt,bcst->bijklc", even, across, mixed)
    paired = torch.arange(across.shape[1], device=x.device).view(1, -1, 1) > 0  # (1, l, 1)
    d = torch.einsum("ks,lt,bcst->bklc", odd, across[0], mixed) * paired
    sign = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], device=x.device).view(1, 2, 2, 1, 1, 1)
    scaled = a * spectrum + sign * d[:, None, None] * spectrum.flip((1, 2))
    filtered = torch.einsum("ikh,jlw,bijklc->bhwc", rows, cols, scaled)
    out = maps + filtered
    if x.ndim == 3:
        out = torch.cat([_prefix(x, hw).float(), out.flatten(1, 2)], 1)
    out = out if gamma is None else gamma * out
    return (out if shortcut is None else shortcut + out).to(dtype)
