"""The frequency response of attention: each token's row of A as a filter over the grid.

A row has N numbers for each head and token, so that all of A would be N x N: rows are made, used
and dropped a few at a time.

Legend of the shape comments: B batch, h heads, N tokens, n of them at a time, d channels of a
head, H x W grid, K = W // 2 + 1, R rings.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fdam_mm.layers import AttInv

from .rings import rings

_NUMBERS = 1 << 24  # of rows at a time: 64 MiB in float32


class Response(NamedTuple):
    """How an attention passes each frequency."""

    frequencies: Tensor  # (R,) 0 to 1, 1 is π
    mean: Tensor  # (R,) of log(1 + |F|) over pictures, heads, tokens and the frequencies of a ring
    deviation: Tensor  # (R,) standard deviation over pictures, heads and tokens


class Rows(NamedTuple):
    """Some rows of A."""

    first: int  # token of the first one
    weights: Tensor  # (B, h, n, N)


def attention_rows(
    query: Tensor, key: Tensor, scale: float | None = None, bias: Tensor | None = None
) -> Iterator[Rows]:
    """``softmax(q kᵀ * scale + bias)``, a few rows at a time.

    Args:
        query: (B, h, N, d).
        key: (B, h, M, d), or of fewer heads that several queries' heads share.
        scale: 1 / sqrt(d) where none is given.
        bias: What is added, broadcast to (B, h, N, M); boolean masks are True where a key counts.
    """
    num, dim = query.shape[-2:]
    scale = dim**-0.5 if scale is None else scale
    if key.shape[1] != query.shape[1]:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    step = max(1, _NUMBERS // (query.shape[0] * query.shape[1] * key.shape[-2]))
    for first in range(0, num, step):
        here = slice(first, first + step)
        logits = query[..., here, :].float() @ key.float().transpose(-2, -1) * scale
        if bias is not None:
            some = bias if bias.shape[-2] == 1 else bias[..., here, :]
            if some.dtype == torch.bool:
                logits = logits.masked_fill(~some, -torch.inf)
            else:
                logits = logits + some
        yield Rows(first, logits.softmax(-1))


def inverted_rows(rows: Iterable[Rows], att_inv: AttInv, x: Tensor) -> Iterator[Rows]:
    """Rows of what AttInv makes of A: ``(1 + γ_low low - γ_high high) A + γ_high high I``.

    Exact for each channel; the γ of a head's channels are averaged here.

    Args:
        rows: Of A, N of them, over N keys.
        att_inv: The layer.
        x: (B, N, C), the attention's normed input.
    """
    with torch.no_grad():
        low, high = att_inv.gates(x)  # (B, N, h)
    heads = (att_inv.num_heads, -1)
    ones = x.new_ones(*x.shape[:-1], att_inv.num_heads, dtype=torch.float32)
    of_low, of_high = torch.zeros_like(ones), torch.zeros_like(ones)
    if low is not None:
        of_low = low.float() * att_inv.low_gamma.detach().view(heads).mean(-1).float()
    if high is not None:
        of_high = high.float() * att_inv.high_gamma.detach().view(heads).mean(-1).float()
    of_rows = (ones + of_low - of_high).transpose(1, 2)  # (B, h, N)
    of_token = of_high.transpose(1, 2)
    for first, weights in rows:
        here = torch.arange(first, first + weights.shape[-2], device=weights.device)
        mixed = weights * of_rows[..., here, None]
        mixed[..., here - first, here] += of_token[..., here]
        yield Rows(first, mixed)


def frequency_response(
    rows: Iterable[Rows],
    hw: tuple[int, int],
    num_prefix_tokens: int = 0,
    num_prefix_queries: int | None = None,
    num_rings: int | None = None,
) -> Response:
    """``log(1 + |F(A)|)``: the transform of each token's row over the grid, ring by ring.

    As the FDAM paper shows it (arXiv 2507.12006; Wang et al., ICLR 2022, arXiv 2203.05962).
    Identity has log 2 at all frequencies, uniform attention at 0 alone.

    Args:
        rows: Those of prefix tokens are left out, and the columns of prefix tokens too.
        hw: The grid (H, W) of the keys, N = num_prefix_tokens + H * W.
        num_prefix_tokens: Tokens before the grid's.
        num_prefix_queries: Rows before those of the grid's tokens; by default as many.
        num_rings: See :func:`.rings.rings`.

    Raises:
        ValueError: The rows do not fit the grid, or there are none of it.
    """
    found = rings(*hw, num_rings)
    left_out = num_prefix_tokens if num_prefix_queries is None else num_prefix_queries
    count = 0
    total = squares = torch.zeros(len(found.frequencies), dtype=torch.float64)
    for first, weights in rows:
        if weights.shape[-1] != num_prefix_tokens + hw[0] * hw[1]:
            raise ValueError(
                f"rows over {weights.shape[-1]} tokens do not fit a grid of {hw[0]} x {hw[1]} "
                f"and {num_prefix_tokens} prefix tokens"
            )
        kernels = weights[..., max(0, left_out - first) :, num_prefix_tokens:]
        spectrum = torch.fft.rfft2(kernels.unflatten(-1, hw)).abs().log1p()  # (B, h, n, H, K)
        means = found.mean(spectrum).flatten(0, -2).double().cpu()  # (B * h * n, R)
        total, squares = total + means.sum(0), squares + means.square().sum(0)
        count += len(means)
    if not count:
        raise ValueError("there are no rows of the grid's tokens")
    mean = total / count
    deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
    return Response(found.frequencies, mean.float(), deviation.float())
