"""What backbones of stages share: running them, their outputs, freezing.

Within a stage maps have their channels last, (B, H, W, C): linears and LayerNorms take them so,
and convolutions see the same memory through :func:`channels_first`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.errors import ConfigError
from fdam_mm.layers import FreqScale

from .arguments import (
    check_counts,
    check_flags,
    check_frozen_stages,
    check_per_stage,
    check_rates,
    check_sequences,
    start_from,
)
from .base import PretrainedBackbone
from .checkpointing import run
from .foreign_words import Word, refuse_foreign
from .stages import linear_ramp, stage_indices


def channels_first(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), a view."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), a view."""
    return x.permute(0, 2, 3, 1)


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """Zeros at the right and at the bottom of (B, H, W, C), up to multiples of ``divisor``."""
    pad_h, pad_w = (-side % divisor for side in x.shape[1:3])
    return F.pad(x, (0, 0, 0, pad_w, 0, pad_h)) if pad_h or pad_w else x


def scaled(x: Tensor, freq_scale: FreqScale | None) -> Tensor:
    """``x`` (B, H, W, C) through FreqScale, where there is one."""
    return x if freq_scale is None else channels_last(freq_scale(channels_first(x)))


def make_freq_scale(dim: int, freq_scale: Mapping[str, Any] | None) -> FreqScale | None:
    """FreqScale with the arguments ``freq_scale``; None without."""
    return None if freq_scale is None else FreqScale(dim, **freq_scale)


class MapSequential(nn.Sequential):
    """Layers of (B, C, H, W), given maps with their channels last, and giving such."""

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(super().forward(channels_first(x)))


class Stage(nn.Module):
    """What leads to a stage's grid, then its blocks, all on maps with their channels last.

    Shape: (B, H_in, W_in, C_in) -> (B, H, W, C).
    """

    def __init__(self, embed: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, with_cp: bool = False) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = run(block, x, with_cp=with_cp)
        return x


class StagedBackbone(PretrainedBackbone):
    """A backbone whose ``stages`` follow one another; some give a map, normed or as it is.

    A subclass calls this constructor, adds its stages (:meth:`_add_stages`), norms of the outputs
    where it has them (:meth:`_norm_outputs`), and then calls :meth:`_freeze`.

    Args:
        per_stage: Settings of a whole number from 1 on for every stage, ``depths`` among them.
        in_channels: Channels of the input.
        drop_path_rate: Stochastic depth of the last block.
        out_indices: Stages whose output is returned, ascending from 0; -1 is the last.
        frozen_stages: This many first stages do not learn, FDAM's layers in them neither, and keep
            their running statistics; -1 and 0 freeze none.
        with_cp: Activation checkpointing of every block.
        pretrained: Deprecated: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        foreign: Arguments that the subclass does not know.
        words: Those of other toolkits, see :mod:`.foreign_words`.
        further: Settings of another kind for every stage.

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``.
    """

    not_in_pretrained = ("out_norms.",)
    exports_any_size = False  # to ONNX, see fdam_mm.export

    def __init__(
        self,
        per_stage: Mapping[str, Sequence[int]],
        in_channels: int,
        drop_path_rate: float,
        out_indices: int | Sequence[int],
        frozen_stages: int,
        with_cp: bool,
        pretrained: str | None,
        init_cfg: Mapping[str, Any] | None,
        foreign: Mapping[str, Any],
        words: Mapping[str, Word],
        further: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        further = further or {}
        check_per_stage(**per_stage)
        check_sequences(**further)
        check_lengths(**per_stage, **further)
        super().__init__(init_cfg=start_from(init_cfg, pretrained))
        check_counts(in_channels=in_channels)
        check_rates(drop_path_rate=drop_path_rate)
        check_flags(with_cp=with_cp)
        num_stages = len(per_stage["depths"])
        check_frozen_stages(frozen_stages, num_stages)
        own = dict(in_chans=Word((in_channels,), "write in_channels"))
        refuse_foreign(type(self), foreign, {**words, **own})
        self.out_indices = stage_indices(out_indices, num_stages)
        self.frozen_stages, self.with_cp = frozen_stages, with_cp
        self.stages = nn.ModuleList()
        self.out_norms = nn.ModuleDict()

    def _add_stages(
        self,
        depths: Sequence[int],
        drop_path_rate: float,
        embed: Callable[[int], nn.Module],
        block: Callable[[int, int, float], nn.Module],
    ) -> None:
        """Append every stage: ``embed`` of its index, and ``block`` of that, of its own index in
        the stage and of its drop-path rate, which grows from 0 to ``drop_path_rate``."""
        for stage, rates in enumerate(linear_ramp(drop_path_rate, depths)):
            first = embed(stage)
            self.stages.append(
                Stage(first, [block(stage, index, rate) for index, rate in enumerate(rates)])
            )

    def _norm_outputs(self, embed_dims: Sequence[int]) -> None:
        """A LayerNorm on every output: new to every ImageNet file, it always learns."""
        for index in self.out_indices:
            self.out_norms[str(index)] = nn.LayerNorm(embed_dims[index])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs, x = [], channels_last(x)
        for index, stage in enumerate(self.stages):
            x = stage(x, self.with_cp)
            if index in self.out_indices:
                outs.append(self._output(x, index))
        return tuple(outs)

    def _output(self, x: Tensor, index: int) -> Tensor:
        """Stage ``index``'s map (B, H, W, C) -> (B, C, H, W)."""
        if str(index) in self.out_norms:
            x = self.out_norms[str(index)](x)
        return channels_first(x).contiguous()

    def train(self, mode: bool = True) -> "StagedBackbone":
        """Set the mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        for stage in self.stages[: max(self.frozen_stages, 0)]:
            stage.eval().requires_grad_(False)


def check_lengths(**per_stage: Sequence[Any]) -> None:
    """Raise ConfigError unless all have one value per stage."""
    lengths = [len(setting) for setting in per_stage.values()]
    if len(set(lengths)) != 1:
        raise ConfigError(f"{', '.join(per_stage)} need one value per stage, got {lengths}")


def check_four(depths: Sequence[int]) -> None:
    """Raise ConfigError unless there are four stages."""
    if len(depths) != 4:
        raise ConfigError(f"depths is {depths!r}, expected one value for each of four stages")


def check_even_start(embed_dims: Sequence[int]) -> None:
    """Raise ConfigError where a stem cannot begin with half of the first channels."""
    if embed_dims[0] % 2:
        raise ConfigError(f"embed_dims[0] {embed_dims[0]} must be even: the stem takes half")


def check_heads(embed_dims: Sequence[int], num_heads: Sequence[int]) -> None:
    """Raise ConfigError unless every stage's heads divide its channels."""
    for dim, heads in zip(embed_dims, num_heads, strict=True):
        if dim % heads:
            raise ConfigError(f"embed_dims {dim} is not a multiple of num_heads {heads}")
