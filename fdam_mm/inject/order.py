"""Tokens that are not row by row."""

from collections.abc import Callable

import torch
from torch import Tensor


class TokenOrder:
    """Puts tokens (B, N, C) on the map, row by row, and back.

    It is data, whatever device the model is on: a model that starts on the meta device has it too.

    Args:
        order: Position of each grid point, row by row, among the tokens, (N,).
    """

    def __init__(self, order: Tensor) -> None:
        self.order, self.inverse = order, torch.argsort(order)
        self.copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def __reduce__(self) -> tuple[Callable, tuple[Tensor]]:
        return type(self), (self.order,)

    def to_map(self, tokens: Tensor) -> Tensor:
        return tokens[:, self._on(tokens.device)[0]]

    def to_tokens(self, rows: Tensor) -> Tensor:
        return rows[:, self._on(rows.device)[1]]

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if torch.compiler.is_compiling():
            return self.order.to(device), self.inverse.to(device)
        if device not in self.copies:
            from torch._subclasses.fake_tensor import unset_fake_temporarily  # slow to import

            with unset_fake_temporarily(), torch.inference_mode(False):
                self.copies[device] = self.order.to(device), self.inverse.to(device)
        return self.copies[device]
