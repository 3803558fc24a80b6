"""A tiny EoMT on DINOv2 and DINOv3, and the same model of transformers."""

from typing import Any

import torch
from torch import Tensor, nn

from fdam_mm.models import EoMT

SMALL = dict(depth=4, embed_dim=48, num_heads=3, mlp_ratio=2, img_size=64, init_values=0.5)
DINOV2 = dict(model_name="vit_small_patch14_reg4_dinov2", patch_size=16, **SMALL)
DINOV3 = dict(model_name="vit_small_patch16_dinov3_qkvb", **SMALL)
FAMILIES = {"dinov2": DINOV2, "dinov3": DINOV3}
PLAIN = dict(num_classes=5, num_queries=7, num_blocks=2)


def build(family: str = "dinov3", **settings: Any) -> EoMT:
    torch.manual_seed(0)
    return EoMT(**{**FAMILIES[family], **PLAIN, **settings}).eval()


def of_transformers(family: str) -> nn.Module:
    """With random weights, none of which are zero or one."""
    from transformers import (
        EomtConfig,
        EomtDinov3Config,
        EomtDinov3ForUniversalSegmentation,
        EomtForUniversalSegmentation,
    )

    shared = dict(
        hidden_size=48, num_hidden_layers=4, num_attention_heads=3, image_size=64, num_blocks=2,
        num_queries=7, num_labels=5, train_num_points=50,
    )  # fmt: skip
    torch.manual_seed(0)
    if family == "dinov2":
        model = EomtForUniversalSegmentation(EomtConfig(mlp_ratio=2, **shared))
    else:
        config = EomtDinov3Config(
            intermediate_size=96, layer_norm_eps=1e-5, pos_embed_rescale=None, **shared
        )
        model = EomtDinov3ForUniversalSegmentation(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def image(height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
