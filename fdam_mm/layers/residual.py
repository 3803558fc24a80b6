"""``shortcut + gamma * x``: what FreqScale's result is added to."""

import torch
from torch import Tensor


def residual(x: Tensor, gamma: Tensor | None, shortcut: Tensor | None) -> Tensor:
    """``shortcut + gamma * x``, each where there is one."""
    x = x if gamma is None else gamma * x
    return x if shortcut is None else shortcut + x


def new_residual(x: Tensor, gamma: Tensor | None, shortcut: Tensor | None) -> Tensor:
    """:func:`residual` in new, contiguous memory, in one pass."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if gamma is None:
        return out.copy_(x) if shortcut is None else torch.add(shortcut, x, out=out)
    if shortcut is None:
        return torch.mul(x, gamma, out=out)
    return torch.addcmul(shortcut, x, gamma, out=out)


def add_residual(out: Tensor, x: Tensor, gamma: Tensor | None, shortcut: Tensor | None) -> Tensor:
    """``out + residual(x, gamma, shortcut)``, written to ``out``."""
    out = out.add_(x) if gamma is None else out.addcmul_(x, gamma)
    return out if shortcut is None else out.add_(shortcut)
