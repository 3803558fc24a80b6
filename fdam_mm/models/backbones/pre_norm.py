"""Blocks of two sub-layers on a map, FreqScale on what each adds; NAT's and MambaVision's."""

from collections.abc import Mapping
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from .mlp import Mlp
from .residual import add_branch_to_map
from .staged import make_freq_scale


class BranchesBlock(nn.Module):
    """What blocks of two sub-layers share: FreqScale, LayerScale and drop-path of what they add.

    ::

        x = x + drop_path(gamma_1 * (a + FreqScale_1(a)))
        x = x + drop_path(gamma_2 * (m + FreqScale_2(m)))

    A subclass makes its sub-layers and then calls :meth:`_make_branches`.

    Shape: (B, H, W, C) -> the same.
    """

    def _make_branches(
        self,
        dim: int,
        drop_path: float,
        layer_scale_init: float | None,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)
        self.gamma_1 = self.gamma_2 = None
        if layer_scale_init is not None:
            self.gamma_1 = nn.Parameter(torch.full((dim,), layer_scale_init))
            self.gamma_2 = nn.Parameter(torch.full((dim,), layer_scale_init))

    def _add_first(self, x: Tensor, a: Tensor) -> Tensor:
        return add_branch_to_map(x, a, self.freq_scale_1, self.gamma_1, self.drop_path)

    def _add_second(self, x: Tensor, m: Tensor) -> Tensor:
        return add_branch_to_map(x, m, self.freq_scale_2, self.gamma_2, self.drop_path)


class PreNormBlock(BranchesBlock):
    """A mixer of tokens and an MLP; FreqScale acts on what each adds, before LayerScale.

    ::

        a = mixer(norm1(x));  x = x + drop_path(gamma_1 * (a + FreqScale_1(a)))
        m = mlp(norm2(x));    x = x + drop_path(gamma_2 * (m + FreqScale_2(m)))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        mixer: nn.Module,
        mlp_ratio: float,
        drop_path: float,
        layer_scale_init: float | None,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.mixer = mixer
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self._make_branches(dim, drop_path, layer_scale_init, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self._add_first(x, self.mixer(self.norm1(x)))
        return self._add_second(x, self.mlp(self.norm2(x)))
