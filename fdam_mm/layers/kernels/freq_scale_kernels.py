"""FreqScale: a program takes some channels of an image, and reads and writes them once.

The spectrum has cosines and sines along both sides, so it comes in four quadrants, and a filter M
of the half spectrum mixes each with its opposite (see `fourier.py`)::

    cc' = A cc - D ss     ss' = A ss - D cc     sc' = A sc + D cs     cs' = A cs + D sc

Sines are as many as cosines here: the frequency 0 has none, and its place is taken by the cosine
of the highest frequency of an even side, which has none either. The filters are mixed as they are
stored, S x (S // 2 + 1), and resized by products with constants.
"""

import triton
import triton.language as tl


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
