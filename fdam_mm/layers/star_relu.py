"""StarReLU, the activation of both FDAM layers."""

import torch
from torch import Tensor, nn


class StarReLU(nn.Module):
    """``scale * relu(x)**2 + bias`` with two learned scalars (MetaFormer baselines, eq. 3).

    FDAM starts it as the plain squared ReLU: scale 1, bias 0.

    Shape: any, unchanged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * torch.relu(x).square() + self.bias
