"""Parameter groups: layer-wise decay, FreqScale's multiplier, no decay on 1-D."""

import pytest
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

import fdam_mm.training  # noqa: F401  # the constructor and the scheduler
from fdam_mm.models import EoMT, FDAMTimmBackbone, FDAMVisionTransformer


class Segmentor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = FDAMVisionTransformer(
            img_size=32, embed_dims=16, num_layers=3, num_heads=2, out_indices=2,
            with_cls_token=True, layer_scale_init=0.1, fdam=dict(att_inv=True, freq_scale=True),
        )  # fmt: skip
        self.decode_head = nn.Linear(16, 4)


def wrapped(model: nn.Module, **paramwise_cfg: object) -> OptimWrapper:
    return build_optim_wrapper(
        model,
        dict(
            type="OptimWrapper",
            optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.5),
            constructor="FDAMOptimWrapperConstructor",
            paramwise_cfg=paramwise_cfg,
        ),
    )


def groups(
    model: nn.Module | None = None, **paramwise_cfg: object
) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay by parameter name."""
    model = model or Segmentor()
    found = {}
    for group in wrapped(model, **paramwise_cfg).optimizer.param_groups:
        found.update(dict.fromkeys(group["param_names"], (group["lr"], group["weight_decay"])))
    assert found.keys() == {name for name, _ in model.named_parameters()}
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


class TimmSegmentor(nn.Module):
    """On a ViT of timm, as EoMT's backbone or as one that gives maps."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        small = dict(embed_dim=16, depth=3, num_heads=2, img_size=32)
        if whole:
            model = dict(model_name="vit_small_patch16_dinov3_qkvb", **small)
            self.backbone = EoMT(num_classes=3, num_queries=4, num_blocks=1, **model)
        else:
            self.backbone = FDAMTimmBackbone("vit_tiny_patch16_224", out_indices=(2,), **small)
        self.decode_head = nn.Linear(16, 4)


@pytest.mark.parametrize(("whole", "prefix"), [(True, ""), (False, "model.")])
def test_layer_decay_of_timms_models(whole: bool, prefix: str) -> None:
    found = groups(TimmSegmentor(whole), layer_decay=0.5, num_layers=3)
    assert found["decode_head.weight"] == (1.0, 0.5)
    assert found[f"backbone.timm_model.{prefix}blocks.2.mlp.fc1.weight"] == (0.5, 0.5)
    assert found[f"backbone.timm_model.{prefix}patch_embed.proj.weight"] == (0.0625, 0.5)


def test_the_rule_of_eomt() -> None:
    model = TimmSegmentor(whole=True)
    wrapper = wrapped(model, layer_decay=0.5, num_layers=3, layer_rule="eomt")
    found, stages = {}, {}
    for group in wrapper.optimizer.param_groups:
        found.update(dict.fromkeys(group["param_names"], group["lr"]))
        stages.update(dict.fromkeys(group["param_names"], group["pretrained"]))
    assert found.keys() == {name for name, _ in model.named_parameters()}
    for name, rate, pretrained in (
        ("decode_head.weight", 1.0, False),
        ("backbone.queries.weight", 1.0, False),
        ("backbone.predictor.cls_embed.weight", 1.0, False),
        ("backbone.timm_model.norm.weight", 1.0, True),
        ("backbone.timm_model.blocks.2.mlp.fc1.weight", 1.0, True),
        ("backbone.timm_model.blocks.0.mlp.fc1.weight", 0.25, True),
        ("backbone.timm_model.patch_embed.proj.weight", 0.25, True),
        ("backbone.timm_model.reg_token", 0.25, True),
    ):
        assert (found[name], stages[name]) == (rate, pretrained), name


def test_new_parts_warm_up_before_the_pretrained_model() -> None:
    """Worked out by hand: stages of 2 and 4 iterations of 20, power 2."""
    wrapper = wrapped(TimmSegmentor(whole=True), layer_decay=0.5, num_layers=3, layer_rule="eomt")
    scheduler = PARAM_SCHEDULERS.build(
        dict(type="TwoStageWarmupPolyLR", optimizer=wrapper, end=20, warmup=(2, 4), power=2.0)
    )
    new, old = [], []
    for _ in range(20):
        groups = wrapper.optimizer.param_groups
        new.append(next(g["lr"] for g in groups if not g["pretrained"]))
        old.append(next(g["lr"] for g in groups if g["pretrained"] and g["initial_lr"] == 0.25))
        scheduler.step()
    assert new[:3] == pytest.approx([0, 0.5, 1])
    assert new[11] == pytest.approx((1 - 9 / 18) ** 2)
    assert old[:7] == pytest.approx([0, 0, 0, 0.0625, 0.125, 0.1875, 0.25])
    assert old[13] == pytest.approx(0.25 * (1 - 7 / 14) ** 2)
    assert new == sorted(new[:3]) + sorted(new[3:], reverse=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(layer_decay=0.9), "num_layers is None, FDAMVisionTransformer has 3 blocks"),
        (
            dict(layer_decay=0.9, num_layers=2),
            "num_layers is 2, FDAMVisionTransformer has 3 blocks",
        ),
        (dict(layer_decy=0.9), r"has no setting \['layer_decy'\]"),
        (dict(layer_rule="swin"), r"layer_rule is 'swin', expected one of \('beit', 'eomt'\)"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groups(**settings)
