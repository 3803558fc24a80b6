"""Parameter groups: layer-wise decay, FreqScale's multiplier, no decay on 1-D."""

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

from fdam_mm.models import FDAMVisionTransformer


class Segmentor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = FDAMVisionTransformer(
            img_size=32, embed_dims=16, num_layers=3, num_heads=2, out_indices=2,
            with_cls_token=True, layer_scale_init=0.1, fdam=dict(att_inv=True, freq_scale=True),
        )  # fmt: skip
        self.decode_head = nn.Linear(16, 4)


def groups(**paramwise_cfg: object) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay by parameter name."""
    wrapper = build_optim_wrapper(
        Segmentor(),
        dict(
            type="OptimWrapper",
            optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.5),
            constructor="FDAMOptimWrapperConstructor",
            paramwise_cfg=paramwise_cfg,
        ),
    )
    found = {}
    for group in wrapper.optimizer.param_groups:
        found.update(dict.fromkeys(group["param_names"], (group["lr"], group["weight_decay"])))
    assert found.keys() == {name for name, _ in Segmentor().named_parameters()}
    return found


def test_layer_decay_and_multiplier() -> None:
    found = groups(layer_decay=0.5, num_layers=3, freq_scale_lr_mult=10)
    assert found["decode_head.weight"] == (1.0, 0.5)
    assert found["backbone.blocks.2.mlp.fc1.weight"] == (0.5, 0.5)
    assert found["backbone.blocks.0.mlp.fc1.weight"] == (0.125, 0.5)
    assert found["backbone.patch_embed.proj.weight"] == (0.0625, 0.5)
    assert found["backbone.pos_embed"] == (0.0625, 0.0)
    assert found["backbone.cls_token"] == (0.0625, 0.0)
    assert found["backbone.blocks.2.freq_scale_1.bases"] == (5.0, 0.5)
    assert found["backbone.blocks.2.freq_scale_1.reweight.fc1.weight"] == (5.0, 0.5)
    assert found["backbone.blocks.2.freq_scale_1.reweight.act.scale"] == (5.0, 0.0)
    assert found["backbone.blocks.2.attn.att_inv.low_gate.weight"] == (0.5, 0.5)
    for key in ("attn.att_inv.low_gamma", "norm1.weight", "gamma_1", "attn.qkv.bias"):
        assert found[f"backbone.blocks.2.{key}"] == (0.5, 0.0)


def test_decay_biases() -> None:
    found = groups(decay_biases=True)
    for key in ("attn.qkv.bias", "mlp.fc1.bias"):
        assert found[f"backbone.blocks.0.{key}"] == (1.0, 0.5)
    for key in ("norm1.bias", "gamma_1", "attn.att_inv.low_gamma"):
        assert found[f"backbone.blocks.0.{key}"] == (1.0, 0.0)


def test_without_settings_one_dimension_still_has_no_decay() -> None:
    found = groups()
    assert found["backbone.blocks.0.mlp.fc1.weight"] == (1.0, 0.5)
    assert found["backbone.blocks.0.norm1.weight"] == (1.0, 0.0)


def test_custom_keys() -> None:
    found = groups(custom_keys={"head": dict(lr_mult=10.0), "blocks": dict(decay_mult=0.0)})
    assert found["decode_head.weight"] == (10.0, 0.5)
    assert found["backbone.blocks.0.mlp.fc1.weight"] == (1.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(layer_decay=0.9), "num_layers is None, FDAMVisionTransformer has 3 blocks"),
        (
            dict(layer_decay=0.9, num_layers=2),
            "num_layers is 2, FDAMVisionTransformer has 3 blocks",
        ),
        (dict(layer_decy=0.9), r"has no setting \['layer_decy'\]"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groups(**settings)
