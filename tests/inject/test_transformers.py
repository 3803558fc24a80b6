"""``apply_fdam`` on the models of transformers, built from small configs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.adapter_checks import Case, checked, make_loud, relative_change
from torch import Tensor, nn

from fdam_mm import (
    apply_fdam,
    fdam_parameters,
    fdam_state_dict,
    load_fdam_state_dict,
)
from fdam_mm.errors import UnservedError

transformers = pytest.importorskip("transformers", minversion="5.0")

_VIT = dict(
    hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96,
    image_size=64, patch_size=16,
)  # fmt: skip
_TINY_SWIN = dict(
    image_size=64, embed_dim=24, depths=[2, 1], num_heads=[2, 4], window_size=4,
    hidden_dropout_prob=0.0,
)  # fmt: skip
_RESNET = dict(embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1])
_DETR = dict(
    d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, num_queries=5,
)  # fmt: skip


def _model(name: str, **settings: Any) -> Callable[[], nn.Module]:
    """``<name>Model`` of ``<name>Config``, or the model's full name."""

    def build() -> nn.Module:
        model = getattr(transformers, name, None) or getattr(transformers, f"{name}Model")
        config_class = model.config_class
        return model(config_class(**settings))

    return build


def _last(model: nn.Module, image: Tensor) -> Tensor:
    return model(pixel_values=image).last_hidden_state


def _any_size(model: nn.Module, image: Tensor) -> Tensor:
    return model(pixel_values=image, interpolate_pos_encoding=True).last_hidden_state


def _resnet(**settings: Any) -> Any:
    features = dict(out_features=["stage2", "stage3", "stage4"])
    return transformers.ResNetConfig(**{**_RESNET, **features, **settings})


def _deformable_detr() -> nn.Module:
    config = transformers.DeformableDetrConfig(
        use_timm_backbone=False, backbone_config=_resnet(), num_feature_levels=3, **_DETR
    )
    return transformers.DeformableDetrModel(config)


def _encoded(model: nn.Module, image: Tensor) -> Tensor:
    encoded = model(pixel_values=image).encoder_last_hidden_state  # RT-DETR gives its maps
    return torch.cat([t.flatten() for t in encoded])


def _mask2former() -> nn.Module:
    backbone = _resnet(out_features=["stage1", "stage2", "stage3", "stage4"])
    config = transformers.Mask2FormerConfig(
        use_timm_backbone=False, backbone_config=backbone, feature_size=32, mask_feature_size=32,
        hidden_dim=32, encoder_feedforward_dim=48, encoder_layers=2, decoder_layers=1,
        num_attention_heads=4, dim_feedforward=48, num_queries=5,
    )  # fmt: skip
    return transformers.Mask2FormerModel(config)


def _rt_detr() -> nn.Module:
    backbone = transformers.RTDetrResNetConfig(
        **_RESNET, out_features=["stage2", "stage3", "stage4"]
    )
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=32, encoder_in_channels=[12, 16, 24],
        encoder_ffn_dim=48, encoder_attention_heads=4, d_model=32, num_queries=5,
        decoder_in_channels=[32, 32, 32], decoder_layers=1, decoder_attention_heads=4,
        decoder_ffn_dim=48, encoder_layers=1, num_feature_levels=3, eval_size=None,
    )  # fmt: skip
    return transformers.RTDetrModel(config)


def _mobilevit() -> nn.Module:
    """With weights that do not let the signal vanish in its many convolutions."""
    model = _model(
        "MobileViT", hidden_sizes=[24, 32, 40], neck_hidden_sizes=[8, 12, 16, 24, 32, 40, 48],
        num_attention_heads=4, image_size=64,
    )()  # fmt: skip
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return model


_FREE = dict(odd_size=(32, 80), run=_any_size)
_PLAIN = dict(att_inv=False)
_LEVELS = dict(skipped=1, run=_encoded, export=False, reduced=2)

CASES = {
    "vit": Case(_model("ViT", **_VIT), 2, 4, **_FREE, quick_export=True),
    "deit": Case(_model("DeiT", **_VIT), 2, 4, **_FREE),
    "beit": Case(
        _model("Beit", **_VIT, use_relative_position_bias=True, layer_scale_init_value=0.1),
        2, 4, run=_last,
    ),
    "dinov2": Case(_model("Dinov2", **_VIT), 2, 4, odd_size=(32, 80), run=_last),
    "dinov2 with registers": Case(
        _model("Dinov2WithRegisters", **_VIT), 2, 4, odd_size=(32, 80), run=_last
    ),
    "dinov3": Case(
        _model("DINOv3ViT", **_VIT, num_register_tokens=4), 2, 4, odd_size=(32, 80), run=_last
    ),
    "clip": Case(_model("CLIPVisionModel", **_VIT), 2, 4, **_FREE),
    "siglip": Case(_model("SiglipVisionModel", **_VIT), 2, 4, **_FREE, skipped=1),
    "eomt": Case(
        _model("EomtForUniversalSegmentation", **_VIT, num_blocks=1, num_queries=5), 2, 4,
        run=lambda model, image: model(pixel_values=image).masks_queries_logits, export=False,
    ),
    "segformer": Case(
        _model(
            "Segformer", hidden_sizes=[16, 32, 40, 48], depths=[1] * 4,
            num_attention_heads=[1, 2, 4, 8],
        ),
        4, 8, odd_size=(52, 84), run=_last, reduced=3,
    ),
    "pvt_v2": Case(
        _model(
            "PvtV2", hidden_sizes=[16, 32, 40, 48], depths=[1] * 4,
            num_attention_heads=[1, 2, 4, 8],
        ),
        4, 8, odd_size=(52, 84), run=_last, reduced=3,
    ),
    "swin": Case(_model("Swin", **_TINY_SWIN), 3, 6, odd_size=(36, 84), run=_last),
    "swinv2": Case(_model("Swinv2", **_TINY_SWIN), 3, 6, odd_size=(36, 84), run=_last),
    "hiera": Case(
        _model("Hiera", embed_dim=24, image_size=[64, 128], depths=[1, 2, 2, 1]), 3, 12,
        size=(64, 128), run=_last, skipped=3,
    ),
    "sam2": Case(
        _model(
            "Sam2HieraDetModel", hidden_size=24, num_attention_heads=1,
            image_size=[128, 128], blocks_per_stage=[1, 2, 2, 1],
            embed_dim_per_stage=[24, 48, 96, 192], num_attention_heads_per_stage=[1, 2, 4, 8],
            window_size_per_stage=[8, 4, 6, 4], global_attention_blocks=[4],
            window_positional_embedding_background_size=[8, 8],
        ),
        3, 12, size=(128, 128), odd_size=(96, 160), run=_last, skipped=3,
    ),
    "mobilevit": Case(
        _mobilevit,
        9, 18, size=(128, 128), odd_size=(128, 160), run=_last, strides=(16, 32, 64),
    ),
    "deformable detr": Case(_deformable_detr, 2, 4, **_LEVELS),
    "mask2former": Case(
        _mask2former, 2, 4, **{
            **_LEVELS, "run": lambda model, image: model(image).pixel_decoder_last_hidden_state
        },
    ),
    "rt detr": Case(_rt_detr, 1, 2, **{**_LEVELS, "reduced": 0}),
    "convnext": Case(
        _model("ConvNext", hidden_sizes=[16, 24, 32, 40], depths=[1] * 4), 0, 4,
        odd_size=(52, 84), run=_last, apply=_PLAIN,
    ),
    "convnextv2": Case(
        _model("ConvNextV2", hidden_sizes=[16, 24, 32, 40], depths=[1] * 4), 0, 4,
        odd_size=(52, 84), run=_last, apply=_PLAIN,
    ),
    "dinov3 convnext": Case(
        _model("DINOv3ConvNext", hidden_sizes=[16, 24, 32, 40], depths=[1] * 4), 0, 4,
        odd_size=(52, 84), run=_last, apply=_PLAIN,
    ),
    "focalnet": Case(
        _model(
            "FocalNet", image_size=64, embed_dim=24, hidden_sizes=[24, 48], depths=[1, 1],
            focal_levels=[2, 2], focal_windows=[3, 3], hidden_dropout_prob=0.0,
        ),
        0, 4, odd_size=(52, 84), run=_last, apply=_PLAIN,
    ),
}  # fmt: skip


@checked(CASES)
def test_adapter(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


@pytest.mark.parametrize("name", ["vit", "dinov3", "clip", "segformer", "sam2", "swin"])
def test_attention_functions_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that transformers dispatches to; the kernels of flash attention need a GPU."""
    model, image = CASES[name].with_fdam(), CASES[name].image()
    monkeypatch.setattr(
        transformers.integrations.flash_attention, "_flash_attention_forward", _flash
    )
    results = {}
    functions = ["sdpa", "eager", "flash_attention_2", "flex_attention"]
    if name == "swin":  # whose position bias the others do not take
        functions = functions[:2]
    for function in functions:
        called.clear()
        for part in model.modules():
            if isinstance(part, transformers.PreTrainedModel):
                part.config._attn_implementation = function  # unasked whether it is installed
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            results[function] = CASES[name].run(model, image)
        assert bool(called) == (function == "flash_attention_2")
    for function, result in results.items():
        assert relative_change(results["sdpa"], result) < 1e-5, function


called: list[Tensor] = []


def _flash(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *_: Any,
    softmax_scale: float | None, **__: Any,
) -> Tensor:  # fmt: skip
    """What flash attention computes: (B, N, heads, channels) as its kernels take and return it."""
    assert mask is None
    called.append(query)
    heads = (t.transpose(1, 2) for t in (query, key, value))
    y = nn.functional.scaled_dot_product_attention(*heads, scale=softmax_scale)
    return y.transpose(1, 2)


def test_flash_attention_of_half_precision_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of its kernels is of half precision, the values may not be."""
    model, image = CASES["vit"].with_fdam(), CASES["vit"].image()
    expected = CASES["vit"].run(model, image)
    monkeypatch.setattr(
        transformers.integrations.flash_attention,
        "_flash_attention_forward",
        lambda q, k, v, *args, **kwargs: _flash(
            *(t.bfloat16() for t in (q, k, v)), *args, **kwargs
        ),
    )
    model.config._attn_implementation = "flash_attention_2"
    with torch.autocast("cpu", torch.bfloat16):
        result = CASES["vit"].run(model, image)
    result.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fdam_parameters(model))
    assert relative_change(expected, result.float()) < 0.05


@pytest.mark.parametrize("name", ["vit", "swin", "segformer", "deformable detr"])
def test_gradient_checkpointing(name: str) -> None:
    gradients = []
    for checkpointed in (False, True):
        model = CASES[name].with_fdam().train()
        if checkpointed:
            model.gradient_checkpointing_enable()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        torch.manual_seed(0)  # drop-path
        CASES[name].run(model, CASES[name].image()).square().sum().backward()
        gradients.append([p.grad for p in fdam_parameters(model)])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain)


def test_text_has_no_grid() -> None:
    text = dict(hidden_size=48, num_hidden_layers=1, num_attention_heads=3, vocab_size=50)
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=_VIT))
    with pytest.raises(UnservedError, match="text_model.*has no patch embedding"):
        apply_fdam(model)
    assert apply_fdam(model, include="vision_model.*").count("FreqScale") == 4


def test_weights_are_kept_beside_save_pretrained(tmp_path: Path) -> None:
    """What docs/backbones.md shows."""
    model, image = CASES["vit"].with_fdam(), CASES["vit"].image()
    with torch.no_grad():
        expected = CASES["vit"].run(model, image)
    settings = dict(freq_scale=dict(mlp_ratio=1.0))

    model.save_pretrained(tmp_path)
    torch.save(fdam_state_dict(model), tmp_path / "fdam.pth")

    model = transformers.ViTModel.from_pretrained(tmp_path)
    apply_fdam(model, **settings)
    load_fdam_state_dict(model, torch.load(tmp_path / "fdam.pth", weights_only=True))

    with torch.no_grad():
        assert torch.equal(CASES["vit"].run(model, image), expected)


class _Pictures(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return dict(pixel_values=torch.randn(3, 64, 64, generator=generator), labels=index % 2)


def _classifier() -> nn.Module:
    torch.manual_seed(0)
    config = transformers.ViTConfig(num_labels=2, **_VIT)
    model = transformers.ViTForImageClassification(config)
    apply_fdam(model, freq_scale=dict(mlp_ratio=1.0))
    return model


def _train(model: nn.Module, folder: Path) -> None:
    arguments = transformers.TrainingArguments(
        str(folder), max_steps=2, per_device_train_batch_size=2, use_cpu=True, report_to=[],
        save_strategy="no", disable_tqdm=True, learning_rate=1e-3,
    )  # fmt: skip
    transformers.Trainer(model, arguments, train_dataset=_Pictures()).train()


def test_trainer(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    model = _classifier()
    make_loud(model)  # at the start some gradients are so small that no weight moves
    before = [p.detach().clone() for p in fdam_parameters(model)]
    _train(model, tmp_path)
    changed = [not torch.equal(a, b) for a, b in zip(before, fdam_parameters(model), strict=True)]
    assert sum(changed) == len(changed) - 10  # the class token does not see the last maps


def test_lora_beside_fdam(tmp_path: Path) -> None:
    """What docs/backbones.md shows: LoRA and FDAM learn, the rest is frozen, both are saved."""
    peft = pytest.importorskip("peft")
    model = _classifier()
    lora = peft.LoraConfig(
        target_modules=["q_proj", "v_proj", "o_proj"],
        modules_to_save=["att_inv", "freq_scale_1", "freq_scale_2", "classifier"],
    )
    wrapped = peft.get_peft_model(model, lora)
    trained = [name for name, p in wrapped.named_parameters() if p.requires_grad]
    assert {"lora_A", "att_inv", "freq_scale_1", "freq_scale_2", "classifier"} <= {
        part for name in trained for part in name.split(".")
    }
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    if pytest.importorskip("accelerate"):
        _train(wrapped, tmp_path / "training")
    make_loud(wrapped)
    wrapped.save_pretrained(tmp_path / "adapter")
    loaded = peft.PeftModel.from_pretrained(_classifier(), tmp_path / "adapter").eval()
    with torch.no_grad():
        expected = wrapped.eval()(pixel_values=image).logits
        torch.testing.assert_close(loaded(pixel_values=image).logits, expected)
