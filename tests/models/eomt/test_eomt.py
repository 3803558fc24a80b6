"""EoMT: masks and their annealing, FDAM in it, sizes, and what it refuses."""

from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from support.eomt import SMALL, build, image

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import EoMTHead
from fdam_mm.models.eomt.masking import AnnealedMasks, probabilities

FDAM = dict(att_inv=True, freq_scale=True)


def test_probabilities_are_those_of_the_authors_recipes() -> None:
    """ADE20K with four blocks, COCO panoptic with three: iterations of their configs."""
    for total, starts, ends in (
        (39120, (6520, 13040, 19560, 26080), (13040, 19560, 26080, 32600)),
        (88692, (14782, 36955, 59128), (29564, 51737, 73910)),
    ):
        for step in range(0, total, 301):
            expected = [
                min(max(1 - (step - start) / (end - start), 0), 1) ** 0.9
                for start, end in zip(starts, ends, strict=True)
            ]
            assert probabilities(len(starts), step / total, 0.9) == pytest.approx(expected)


def test_masks() -> None:
    """Two queries, one prefix token, 2 x 2 patches: of the first query the left half."""
    masking = AnnealedMasks(1).eval()
    masks = torch.tensor([[[[1.0, -1.0], [1.0, -1.0]], [[1.0, 1.0], [1.0, 1.0]]]])
    seen = masking(masks, 0, (2, 2), 1)
    assert seen.shape == (1, 1, 7, 7)
    assert seen[0, 0, 0].tolist() == [True, True, True, True, False, True, False]
    assert seen[0, 0, 1:].all()
    masking.train().set([0])
    assert masking(masks, 0, (2, 2), 1).all()


def test_a_file_tells_which_blocks_are_masked() -> None:
    trained, fresh = build(), build()
    trained.masking.set([0, 0.2])
    fresh.load_state_dict(trained.state_dict())
    with torch.no_grad():
        assert len(fresh(image())) == 1
    assert [fresh.masking.train().needed(block) for block in (0, 1)] == [False, True]


def test_export() -> None:
    model = build(fdam=FDAM, depth=1, num_blocks=1)
    model.masking.set([0])
    exported = torch.export.export(model, (image(),)).module()
    with torch.no_grad():
        (found,), (expected,) = exported(image()), model(image())
    torch.testing.assert_close(found.masks, expected.masks, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)


def test_training_anneals_and_a_trained_model_needs_no_masks() -> None:
    model = build().train()
    hub = MessageHub.get_instance("eomt")
    hub.update_info_dict(dict(iter=0, max_iters=600))
    assert len(model(image())) == 3
    assert model.masking.probs.tolist() == [1, 1]
    hub.update_info("iter", 450)  # the first block was freed at a third, the second is half-way
    model(image())
    assert model.masking.probs.tolist() == pytest.approx([0, 0.5**0.9])
    with torch.no_grad():
        assert len(model.eval()(image())) == 2  # one between the blocks, which is still needed
        hub.update_info("iter", 599)
        assert len(model.train()(image())) == 3
        assert len(model.eval()(image())) == 1
    hub.update_info_dict(dict(iter=None, max_iters=None))


def test_without_annealing_masks_stay() -> None:
    model = build(annealing_power=None).train()
    hub = MessageHub.get_instance("eomt")
    hub.update_info_dict(dict(iter=599, max_iters=600))
    model(image())
    assert model.masking.probs.tolist() == [1, 1]
    hub.update_info_dict(dict(iter=None, max_iters=None))


@pytest.mark.parametrize("family", ["dinov2", "dinov3"])
def test_fdam_serves_all_tokens_and_the_patches(family: str) -> None:
    plain, ours = build(family), build(family, fdam=FDAM)
    missing, unexpected = ours.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all("att_inv" in k or "freq_scale" in k for k in missing)
    with torch.no_grad():
        expected, found = plain(image(64, 48))[-1], ours(image(64, 48))[-1]
    for name in ("logits", "masks"):
        change = (getattr(found, name) - getattr(expected, name)).abs().max()
        assert 0 < change / getattr(expected, name).abs().max() < 1e-3
    gated, scaled = [], []
    for module in ours.modules():
        if isinstance(module, AttInv):
            module.register_forward_pre_hook(lambda _, args: gated.append(args[0].shape[1]))
        elif isinstance(module, FreqScale):
            torch.nn.init.normal_(module.bases, std=0.1)
            module.register_forward_hook(
                lambda _, args, out: scaled.append((out - args[0]).abs().amax((0, 2)) > 0)
            )
    with torch.no_grad():
        ours(image(64, 48))
    assert gated == [5 + 12] * 2 + [7 + 5 + 12] * 2
    for changed, num_prefix in zip(scaled, [5] * 4 + [7 + 5] * 4, strict=True):
        assert changed.tolist() == [False] * num_prefix + [True] * 12


def test_every_parameter_learns_also_with_checkpointing_and_frozen_blocks() -> None:
    gradients = []
    for with_cp in (False, True):
        model = build(fdam=FDAM, with_cp=with_cp, frozen=["patch_embed", "blocks.0"]).train()
        torch.manual_seed(0)
        sum(p.masks.square().mean() + p.logits.square().mean() for p in model(image())).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        in_frozen = name.startswith(("timm_model.patch_embed.", "timm_model.blocks.0."))
        new = "att_inv" in name or "freq_scale" in name
        assert (gradient is None) == (in_frozen and not new), name
        if gradient is not None:
            torch.testing.assert_close(gradients[1][name], gradient)


@pytest.mark.parametrize("family", ["dinov2", "dinov3"])
@pytest.mark.parametrize("size", [(50, 70), (33, 16), (96, 32)])
def test_sizes(family: str, size: tuple[int, int]) -> None:
    model = build(family, fdam=FDAM)
    with torch.no_grad():
        prediction = model(image(*size))[-1]
    whole = size == (96, 32)
    assert prediction.size == size
    assert prediction.masks.shape[-2:] == ((24, 8) if whole else size)
    assert torch.isfinite(prediction.masks).all()


def test_padding_is_out_of_the_masks() -> None:
    """What is cut off is the padding: the rest is that of the padded picture."""
    model, picture = build(), image(48, 64)
    picture[:, :, :, 57:] = 0
    with torch.no_grad():
        padded, cut = model(picture)[-1], model(picture[..., :57])[-1]
        masks = torch.nn.functional.interpolate(padded.masks, (48, 64), mode="bilinear")
    torch.testing.assert_close(cut.masks, masks[..., :57])
    torch.testing.assert_close(cut.logits, padded.logits)


REFUSED: list[tuple[dict[str, Any], str]] = [
    (dict(model_name="swin_tiny_patch4_window7_224"), "is no plain ViT: it has no"),
    (dict(model_name="beit_base_patch16_224", depth=2), "it has no _pos_embed"),
    (dict(num_blocks=5), "num_blocks is 5, .* has 4 blocks"),
    (dict(num_queries=0), "num_queries is 0"),
    (dict(annealing_power=-1), "annealing_power is -1"),
    (dict(patch_drop_rate=0.5), "patch_drop_rate leaves no grid"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_refused(settings: dict[str, Any], message: str) -> None:
    if "model_name" in settings:
        settings = dict.fromkeys(SMALL) | dict(embed_dim=48) | settings
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_blocks_without_a_mask_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of an older timm."""
    monkeypatch.setattr("timm.models.eva.EvaBlock.forward", lambda self, x, rope=None: x)
    with pytest.raises(ConfigError, match="its EvaBlock takes no attention mask"):
        build("dinov3")


def test_head_of_other_classes_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="predicts 5 classes for 7 queries, the head is set to 4"
    ):
        EoMTHead(num_things_classes=4, num_queries=7)(build()(image()))
