"""Small models of timm, one or more per shipped adapter, and what each must get."""

from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    """A model by its timm name and reduced settings, and what it must get."""

    name: str
    settings: dict[str, Any]
    att_inv: int
    freq_scale: int
    size: tuple[int, int] = (64, 64)
    odd_size: tuple[int, int] | None = None  # where the model takes another size
    skipped: int = 0
    apply: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        entry = timm.create_model if self.name in timm.list_models() else _BUILDERS[self.name]
        args = (self.name,) if self.name in timm.list_models() else ()
        model = entry(*args, num_classes=5, **self.settings)
        for parameter in model.parameters():  # a zero head hides everything
            if parameter.ndim == 2 and not parameter.is_meta and not parameter.any():
                nn.init.normal_(parameter, std=0.02)
        return model


def _gcvit(**settings: Any) -> nn.Module:
    return timm.models.gcvit.GlobalContextVit(**settings)


def _focalnet(**settings: Any) -> nn.Module:
    return timm.models.focalnet.FocalNet(**settings)


def _maxxvit(**settings: Any) -> nn.Module:
    """MaxViT of two small stages; ``attn`` are settings of its attention."""
    from timm.models.maxxvit import MaxxVit, MaxxVitCfg, MaxxVitTransformerCfg

    window = dict(window_size=(4, 4), grid_size=(4, 4), dim_head=16, **settings.pop("attn"))
    cfg = MaxxVitCfg(
        embed_dim=(32, 48),
        depths=settings.pop("depths", (1, 1)),
        block_type=settings.pop("block_type", ("M", "M")),
        stem_width=16,
        transformer_cfg=MaxxVitTransformerCfg(**window),
    )
    return MaxxVit(cfg, img_size=32, **settings)


_BUILDERS = {"gcvit": _gcvit, "focalnet": _focalnet, "maxxvit": _maxxvit}
_SMALL = dict(depth=2, embed_dim=48, num_heads=3)
_WINDOWS = dict(depths=(2, 1), embed_dim=24, num_heads=(2, 4), window_size=4)
_PYRAMID = dict(depths=(1, 1, 1, 1), embed_dims=(16, 32, 40, 48), num_heads=(1, 2, 4, 8))
_NORMS = ("norm1.weight", "norm2.weight", "bn.weight")
_FREE = dict(strict_img_size=False)
_PLAIN = dict(att_inv=False)

CASES = {
    "vit": Case(
        "vit_tiny_patch16_224", dict(dynamic_img_size=True, img_size=64, **_SMALL), 2, 4,
        odd_size=(32, 80),
    ),
    "vit qk norm, scale norm": Case(
        "vit_tiny_patch16_224",
        dict(img_size=64, qk_norm=True, scale_attn_norm=True, init_values=0.1, **_SMALL), 2, 4,
    ),
    "deit distilled": Case("deit_tiny_distilled_patch16_224", dict(img_size=64, **_SMALL), 2, 4),
    "deit3": Case("deit3_small_patch16_224", dict(img_size=64, **_SMALL), 2, 4),
    "dinov2 registers": Case(
        "vit_small_patch14_reg4_dinov2", dict(img_size=56, dynamic_img_size=True, **_SMALL), 2, 4,
        size=(56, 56), odd_size=(28, 70),
    ),
    "dinov3": Case(
        "vit_small_patch16_dinov3", dict(img_size=64, **_SMALL), 2, 4, odd_size=(32, 80)
    ),
    "beit": Case("beit_base_patch16_224", dict(img_size=64, **_SMALL), 2, 4),
    "eva02": Case("eva02_tiny_patch14_224", dict(img_size=56, **_SMALL), 2, 4, size=(56, 56)),
    "eva02, separate qkv, inner norm": Case(
        "eva02_base_patch14_224", dict(img_size=56, scale_attn_inner=True, **_SMALL), 2, 4,
        size=(56, 56),
    ),
    "swin": Case(
        "swin_tiny_patch4_window7_224", dict(img_size=64, **_WINDOWS, **_FREE), 3, 6,
        odd_size=(36, 84),
    ),
    "swinv2": Case(
        "swinv2_tiny_window8_256", dict(img_size=64, **_WINDOWS, **_FREE), 3, 6, odd_size=(36, 84)
    ),
    "swinv2_cr": Case(
        "swinv2_cr_tiny_224", dict(img_size=64, **_WINDOWS), 3, 6
    ),
    "pvt_v2": Case("pvt_v2_b0", _PYRAMID, 4, 8, odd_size=(52, 84)),
    "pvt_v2 linear": Case("pvt_v2_b2_li", _PYRAMID, 4, 8, odd_size=(52, 84)),
    "twins svt": Case(
        "twins_svt_small",
        dict(img_size=64, wss=(7, 7, 7, 7), **{**_PYRAMID, "depths": (2, 1, 1, 1)}), 5, 10,
        odd_size=(32, 96),
    ),
    "twins pcpvt": Case(
        "twins_pcpvt_small", dict(img_size=64, **_PYRAMID), 4, 8, odd_size=(32, 96)
    ),
    "maxvit": Case("maxxvit", dict(attn=dict(head_first=True)), 4, 8, size=(32, 32)),
    "maxvit heads last": Case("maxxvit", dict(attn=dict(head_first=False)), 4, 8, size=(32, 32)),
    "maxvit channels first": Case(
        "maxxvit", dict(attn=dict(use_nchw_attn=True)), 4, 8, size=(32, 32), odd_size=(32, 64)
    ),
    "coatnet": Case(
        "maxxvit", dict(attn={}, depths=(1, 2), block_type=("C", "T")), 1, 4, size=(32, 32),
        skipped=1,
    ),
    "davit": Case(
        "davit_tiny",
        dict(
            depths=(1, 1, 1, 1), embed_dims=(16, 24, 32, 48), num_heads=(1, 2, 4, 4),
            window_size=3,
        ),
        4, 16, odd_size=(52, 84), skipped=4,
    ),
    "gcvit": Case(
        "gcvit",
        dict(
            img_size=64, embed_dim=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4),
            window_ratio=(16, 16, 16, 32),
        ),
        5, 10,
    ),
    "convit": Case(
        "convit_tiny", dict(img_size=64, depth=3, local_up_to_layer=2, embed_dim=12), 3, 6
    ),
    "halonet": Case("halonet26t", {}, 2, 3, size=(256, 256), skipped=1),
    "hiera": Case(
        "hiera_tiny_224",
        dict(
            img_size=(64, 128), embed_dim=24, stages=(1, 2, 2, 1), head_init_scale=1.0,
        ),
        3, 12, size=(64, 128), skipped=3,
    ),
    "focalnet": Case(
        "focalnet", dict(depths=(1, 1), embed_dim=24), 0, 4, odd_size=(52, 84), apply=_PLAIN
    ),
    "focalnet post-norm": Case(
        "focalnet", dict(depths=(1, 1), embed_dim=24, use_post_norm=True), 0, 4, apply=_PLAIN
    ),
    "convnext": Case(
        "convnext_atto", dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)), 0, 4,
        odd_size=(52, 84), apply=_PLAIN,
    ),
    "convnext linear": Case(
        "convnext_tiny", dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)), 0, 4, apply=_PLAIN
    ),
    "mambaout": Case(
        "mambaout_femto", dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)), 0, 4,
        odd_size=(52, 84), apply=_PLAIN,
    ),
}  # fmt: skip


def random_image(size: tuple[int, int]) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


def let_everything_count(model: nn.Module) -> None:
    """Undo initialisations that switch sub-layers off, and FDAM's own near identity."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("low_gamma", "high_gamma", "bases")):
                parameter.normal_(std=0.1)
            elif parameter.ndim == 1 and name.endswith((*_NORMS, "gamma")):
                parameter.fill_(1.0)
