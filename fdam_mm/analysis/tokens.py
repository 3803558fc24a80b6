"""How alike the tokens of a layer are.

Legend of the shape comments: B batch, N tokens, C channels.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def token_similarity(tokens: Tensor) -> Tensor:
    """The mean cosine of the angle between two different tokens of a picture.

    ``Σ_{i≠j} cos(x_i, x_j) / (N (N - 1))``, computed as ``(|Σ x̂_i|² - Σ |x̂_i|²) / (N (N - 1))``,
    without the N x N cosines. 1 where all tokens point one way, as after many plain attentions
    (the FDAM paper, arXiv 2507.12006; Wang et al., ICLR 2022, arXiv 2203.05962).

    Args:
        tokens: (B, N, C); one of zeros has no direction and counts as cosine 0.

    Returns:
        (B,), -1 / (N - 1) to 1.

    Raises:
        ValueError: There are fewer than two tokens.
    """
    num_tokens = tokens.shape[1]
    if num_tokens < 2:
        raise ValueError(f"{num_tokens} tokens have no pair to compare")
    unit = F.normalize(tokens.double(), dim=-1)
    pairs = unit.sum(1).square().sum(-1) - unit.square().sum((1, 2))
    return (pairs / (num_tokens * (num_tokens - 1))).float()


def effective_rank(tokens: Tensor) -> Tensor:
    """How many directions the tokens of a picture fill: ``exp(-Σ p_k ln p_k)``, p_k = σ_k / Σ σ.

    σ are the singular values of the picture's tokens (N, C) (Roy and Vetterli, EUSIPCO 2007).

    Args:
        tokens: (B, N, C).

    Returns:
        (B,), from 1 to min(N, C); 1 for tokens of zeros.
    """
    sigma = torch.linalg.svdvals(tokens.double())  # (B, min(N, C))
    share = sigma / sigma.sum(-1, keepdim=True).clamp_min(torch.finfo(sigma.dtype).tiny)
    return torch.special.entr(share).sum(-1).exp().float()


def some_tokens(tokens: Tensor, most: int) -> Tensor:
    """Every k-th of (B, N, C), so that at most ``most`` are left for a long computation."""
    return tokens[:, :: -(-tokens.shape[1] // most)]
