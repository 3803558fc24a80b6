"""Any backbone of timm, plain or with FDAM."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .arguments import check_flags
from .timm_model import TimmModel


@MODELS.register_module()
class FDAMTimmBackbone(TimmModel):
    """A model of timm by its name, as a backbone for any head of mmseg, mmdet or mmrotate.

    The model keeps timm's keys, under ``timm_model.``. FDAM moves in through
    :func:`fdam_mm.apply_fdam`, which says what each family can carry.

    Args:
        model_name: As :func:`timm.create_model` takes it, with or without a weight tag.
        out_indices: Which of timm's feature maps to return: stages of a hierarchical model, blocks
            of a plain ViT, ascending from 0; -1 is the last. None takes timm's choice.
            ``feature_info`` tells their channels and strides.
        pretrained: True starts from timm's weights, which timm downloads unless it has them, and
            a path from a file in their layout. Like any ``init_cfg`` it acts in
            :meth:`init_weights`, which a training calls and a test does not.
        allow_pickle: Read that file even if it needs unpickling, which can run any code.
        in_channels: Channels of the input; timm adapts pretrained weights to it.
        out_norm: A LayerNorm on each map, as the toolkits' own Swin has it.
        pad_multiple: Inputs are padded with zeros, right and bottom, to a multiple of this; None
            takes the stride of the patch embedding (with a hybrid's convolutions), 1 where the
            model has none.
        frozen: Names of modules inside the model that are not trained, in timm's naming. FDAM's
            layers in them are trained all the same: they are new beside timm's weights.
        with_cp: timm's activation checkpointing.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`. ``include`` and ``exclude`` beside them say
            where, as :func:`fdam_mm.apply_fdam` takes them: ``dict(..., include="blocks.[4-9]")``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a backbone or a whole
            model that was trained with this class.
        **settings: Further settings of the timm model, e.g. ``img_size`` or ``drop_path_rate``.
            Words of other backbones are taken at the values that mean what this one does
            (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C, H, W), one per map.

    Raises:
        ConfigError: An argument of another type or range than it needs, or that does not exist.
        ValueError: A model that timm has not, maps that it has not or that do not ascend, a module
            to freeze that does not exist, or a model that FDAM cannot serve.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: int | Sequence[int] | None = None,
        pretrained: bool | str = False,
        allow_pickle: bool = False,
        in_channels: int = 3,
        out_norm: bool = False,
        pad_multiple: int | None = None,
        frozen: Sequence[str] = (),
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_flags(out_norm=out_norm)
        maps = (out_indices,) if isinstance(out_indices, int) else out_indices
        super().__init__(
            model_name,
            dict(features_only=True, out_indices=maps),
            pretrained,
            allow_pickle,
            in_channels,
            pad_multiple,
            frozen,
            with_cp,
            fdam,
            init_cfg,
            **settings,
        )
        self.channels_last = getattr(self.timm_model, "output_fmt", "NCHW") == "NHWC"  # not of all
        self.feature_info = self.timm_model.feature_info
        self.out_norms = nn.ModuleList(
            nn.LayerNorm(channels) for channels in self.feature_info.channels() if out_norm
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        pad_h, pad_w = (-side % self.pad_multiple for side in x.shape[-2:])
        maps = self.timm_model(F.pad(x, (0, pad_w, 0, pad_h)))
        if self.out_norms:
            maps = [self._norm(norm, x) for norm, x in zip(self.out_norms, maps, strict=True)]
        elif self.channels_last:
            maps = [x.permute(0, 3, 1, 2) for x in maps]
        return tuple(x.contiguous() for x in maps)

    def _norm(self, norm: nn.LayerNorm, x: Tensor) -> Tensor:
        x = norm(x if self.channels_last else x.permute(0, 2, 3, 1))
        return x.permute(0, 3, 1, 2)
