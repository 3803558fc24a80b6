"""EoMT: a plain ViT of timm that segments.

Legend of the shape comments: B batch, Q queries, P prefix tokens, N = h w patches, C channels.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fdam_mm.errors import ConfigError
from fdam_mm.models.backbones.arguments import check_counts, check_positive
from fdam_mm.models.backbones.timm_model import TimmModel

from .masking import AnnealedMasks
from .predictor import Prediction, Predictor

_NEEDED = ("patch_embed", "_pos_embed", "blocks", "norm", "num_prefix_tokens")


@MODELS.register_module()
class EoMT(TimmModel):
    """Encoder-only Mask Transformer (arXiv 2503.19108): all of the model but its losses.

    Learned queries join the tokens of a plain ViT before its last blocks, which serve as the
    decoder: attention over patches, prefix tokens and queries together. What the queries stand for
    is read off the normed tokens after the last block, and in training before each block with
    queries too, where the masks also limit what a query sees, by and by less often
    (:class:`AnnealedMasks`).

    It stands as ``backbone`` before a :class:`EoMTHead` (mmdet) or :class:`EoMTDecodeHead`
    (mmseg). FDAM moves in as with :class:`FDAMTimmBackbone`: AttInv serves every token, queries
    too, whose rows of attention sum to one, masked or not; FreqScale the patches alone.

    Args:
        model_name: A plain ViT of timm: DINOv2, DINOv3, DeiT, ...
        num_classes: Classes K, without no object.
        num_queries: Queries Q.
        num_blocks: Last blocks, through which the queries go.
        annealing_power: Of the decline of masked attention; None masks always.
        pretrained, allow_pickle, in_channels, frozen, with_cp, fdam, init_cfg: As
            :class:`FDAMTimmBackbone` has them; ``pretrained`` is about timm's ViT.
        **settings: Further settings of the timm model: ``img_size``, ``patch_size=16`` for a
            model of patches of 14, ``rope_rescale_coords``, ``drop_path_rate``, ...

    Shape: (B, in_channels, height, width) of any size -> a list of :class:`Prediction`, the last
    of the whole model; in evaluation it is alone, once training has freed all blocks of masks.

    Raises:
        ConfigError: An argument of another type or range than it needs, or a model that is no
            plain ViT whose blocks take a mask.
        ValueError: As :class:`FDAMTimmBackbone`.
    """

    def __init__(
        self,
        model_name: str,
        num_classes: int,
        num_queries: int = 100,
        num_blocks: int = 4,
        annealing_power: float | None = 0.9,
        pretrained: bool | str = False,
        allow_pickle: bool = False,
        in_channels: int = 3,
        frozen: Sequence[str] = (),
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_counts(num_classes=num_classes, num_queries=num_queries, num_blocks=num_blocks)
        if annealing_power is not None:
            check_positive(annealing_power=annealing_power)
        super().__init__(
            model_name,
            dict(num_classes=0, global_pool=""),
            pretrained,
            allow_pickle,
            in_channels,
            frozen=frozen,
            with_cp=with_cp,
            init_cfg=init_cfg,
            **settings,
        )
        _require_plain_vit(self.timm_model, model_name, num_blocks)
        self.num_queries, self.num_blocks = num_queries, num_blocks
        self._announce_queries()
        self.report = self._apply_fdam(fdam)
        self._freeze()  # FDAM's layers in frozen parts are trained
        channels = self.timm_model.embed_dim
        num_upscales = max(1, self.pad_multiple.bit_length() - 3)  # to a quarter of the picture
        self.masking = AnnealedMasks(num_blocks, annealing_power)
        self.queries = nn.Embedding(num_queries, channels)
        self.predictor = Predictor(channels, num_classes, num_upscales)

    def _announce_queries(self) -> None:
        """The last blocks have Q more tokens before the patches: for rotary positions and FDAM."""
        num_prefix = self.timm_model.num_prefix_tokens + self.num_queries
        for block in self.timm_model.blocks[-self.num_blocks :]:
            block.num_prefix_tokens = num_prefix
            if hasattr(block.attn, "num_prefix_tokens"):
                block.attn.num_prefix_tokens = num_prefix

    def forward(self, x: Tensor) -> list[Prediction]:
        height, width = x.shape[-2:]
        pad_h, pad_w = -height % self.pad_multiple, -width % self.pad_multiple
        predictions = self._predictions(F.pad(x, (0, pad_w, 0, pad_h)))
        if pad_h or pad_w:
            return [_crop(prediction, (height, width)) for prediction in predictions]
        return predictions

    def _predictions(self, x: Tensor) -> list[Prediction]:
        """Of a picture in whole patches."""
        if self.training:
            self.masking.advance()
        size = (int(x.shape[-2]), int(x.shape[-1]))
        grid = self.timm_model.patch_embed.dynamic_feat_size(size)
        x, ropes = self._embed(x)
        found = []
        first = len(self.timm_model.blocks) - self.num_blocks
        for index, block in enumerate(self.timm_model.blocks):
            if index == first:
                x = torch.cat([self.queries.weight.expand(x.shape[0], -1, -1), x], dim=1)
            mask = None
            masked = index >= first and self.masking.needed(index - first)
            if index >= first and (masked or self.training):
                found.append(Prediction(*self._predict(x, grid), size))
            if masked:
                num_prefix = self.timm_model.num_prefix_tokens
                mask = self.masking(found[-1].masks.detach(), index - first, grid, num_prefix)
            x = self._run(block, x, ropes[index], mask)
        return [*found, Prediction(*self._predict(x, grid), size)]

    def _embed(self, x: Tensor) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Tokens (B, P + N, C) and each block's rotary positions, where the model has them."""
        model = self.timm_model
        embedded = model._pos_embed(model.patch_embed(x))
        x, rope = embedded if isinstance(embedded, tuple) else (embedded, None)
        own = getattr(model, "rope_mixed", False)  # a rotation for every block
        ropes = list(rope) if own else [rope] * len(model.blocks)
        return getattr(model, "norm_pre", nn.Identity())(x), ropes

    def _run(
        self, block: nn.Module, x: Tensor, rope: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        settings = dict(attn_mask=mask) if rope is None else dict(attn_mask=mask, rope=rope)
        if self.timm_model.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, use_reentrant=False, **settings)
        return block(x, **settings)

    def _predict(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Logits of classes and masks from the tokens (B, Q + P + N, C) between two blocks."""
        x = self.timm_model.norm(x)
        patches = x[:, self.num_queries + self.timm_model.num_prefix_tokens :]
        patches = patches.transpose(1, 2).unflatten(2, grid)
        return self.predictor(x[:, : self.num_queries], patches)


def _crop(prediction: Prediction, size: tuple[int, int]) -> Prediction:
    """Over a padded picture -> over the picture alone, at its own resolution."""
    logits, masks, padded = prediction
    masks = F.interpolate(masks, padded, mode="bilinear", align_corners=False)
    return Prediction(logits, masks[..., : size[0], : size[1]], size)


def _require_plain_vit(model: nn.Module, name: str, num_blocks: int) -> None:
    missing = [part for part in _NEEDED if not hasattr(model, part)]
    if missing:
        raise ConfigError(
            f"model_name {name} is no plain ViT: it has no {', '.join(missing)}; EoMT needs one "
            "such as vit_base_patch16_dinov3"
        )
    if len(model.blocks) < num_blocks:
        raise ConfigError(f"num_blocks is {num_blocks}, {name} has {len(model.blocks)} blocks")
    block = model.blocks[-1]
    if "attn_mask" not in inspect.signature(block.forward).parameters:
        raise ConfigError(
            f"model_name {name}: its {type(block).__name__} takes no attention mask in this "
            "version of timm; EoMT needs a model such as vit_base_patch16_dinov3"
        )
    if getattr(getattr(model, "patch_drop", None), "prob", 0.0):
        raise ConfigError("patch_drop_rate leaves no grid for the masks; leave it out")
