"""The MLP of transformer blocks."""

from torch import Tensor, nn


class Mlp(nn.Module):
    """Two linears with an activation between.

    Args:
        dim: Channels C.
        hidden: Channels between the linears.
        act: The activation; GELU where none is given.

    Shape: (..., C) -> the same.
    """

    def __init__(self, dim: int, hidden: int, act: nn.Module | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU() if act is None else act
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))
