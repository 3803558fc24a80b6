"""MiT checkpoints: mmseg's load as they are, the original SegFormer's are converted."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.models.backbones import MixVisionTransformer, VisionTransformer
from torch import Tensor, nn

import fdam_mm.openmmlab  # noqa: F401  registers the runner
from fdam_mm.checkpoints import convert, detect, load_pretrained, load_state
from fdam_mm.errors import CheckpointError
from fdam_mm.models import FDAMMixVisionTransformer
from fdam_mm.training.runner import FDAMRunner

TINY = dict(embed_dims=16, num_layers=(1, 2, 1, 1), num_heads=(1, 2, 4, 4))
BOTH = dict(att_inv=True, freq_scale=True)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def segmentor(backbone: str, **options: object) -> nn.Module:
    init_default_scope("mmseg")
    head = dict(in_channels=[16, 32, 64, 64], in_index=[0, 1, 2, 3], channels=16, num_classes=5)
    return MODELS.build(
        dict(
            type="mmseg.EncoderDecoder",
            backbone=dict(type=backbone, **TINY, **options),
            decode_head=dict(type="SegformerHead", norm_cfg=dict(type="BN"), **head),
        )
    ).eval()


def original(dims: tuple[int, ...] = (16, 32, 64, 64)) -> dict[str, Tensor]:
    """A state dict with the keys and shapes of the original ImageNet files."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = weight, weight[:1]

    previous = 3
    for stage, dim in enumerate(dims):
        patch, sr_ratio = (7, 3, 3, 3)[stage], (8, 4, 2, 1)[stage]
        add(f"patch_embed{stage + 1}.proj", dim, previous, patch, patch)
        add(f"patch_embed{stage + 1}.norm", dim)
        for block in (f"block{stage + 1}.{i}" for i in range(TINY["num_layers"][stage])):
            add(f"{block}.norm1", dim)
            add(f"{block}.attn.q", dim, dim)
            add(f"{block}.attn.kv", 2 * dim, dim)
            add(f"{block}.attn.proj", dim, dim)
            if sr_ratio > 1:
                add(f"{block}.attn.sr", dim, dim, sr_ratio, sr_ratio)
                add(f"{block}.attn.norm", dim)
            add(f"{block}.norm2", dim)
            add(f"{block}.mlp.fc1", 4 * dim, dim)
            add(f"{block}.mlp.dwconv.dwconv", 4 * dim, 1, 3, 3)
            add(f"{block}.mlp.fc2", dim, 4 * dim)
        add(f"norm{stage + 1}", dim)
        previous = dim
    add("head", 1000, dims[-1])
    return {key: torch.randn(shape) for key, shape in shapes.items()}


def test_original_file_is_converted() -> None:
    state = original()
    assert detect(state) == "nvlabs_mit"
    converted = convert(dict(state_dict=state))
    model = FDAMMixVisionTransformer(**TINY)
    load_state(model, converted, "made up", fit="exact")  # every key and shape
    theirs, ours = state, model.state_dict()
    query_key_value = torch.cat([theirs["block2.1.attn.q.bias"], theirs["block2.1.attn.kv.bias"]])
    assert torch.equal(ours["layers.1.1.1.attn.attn.in_proj_bias"], query_key_value)
    for our_key, their_key in {
        "layers.0.0.projection.weight": "patch_embed1.proj.weight",
        "layers.3.0.norm.bias": "patch_embed4.norm.bias",
        "layers.2.1.0.norm1.weight": "block3.0.norm1.weight",
        "layers.2.1.0.attn.sr.weight": "block3.0.attn.sr.weight",
        "layers.2.1.0.attn.norm.weight": "block3.0.attn.norm.weight",
        "layers.2.1.0.attn.attn.out_proj.weight": "block3.0.attn.proj.weight",
        "layers.1.1.1.ffn.layers.1.weight": "block2.1.mlp.dwconv.dwconv.weight",
        "layers.3.2.bias": "norm4.bias",
    }.items():
        assert torch.equal(ours[our_key], theirs[their_key]), our_key
    for ours_index, name in ((0, "fc1"), (4, "fc2")):
        weight = ours[f"layers.0.1.0.ffn.layers.{ours_index}.weight"]
        assert torch.equal(weight[:, :, 0, 0], theirs[f"block1.0.mlp.{name}.weight"])


def test_original_segmentor_gives_its_backbone(tmp_path: Path) -> None:
    state = {f"backbone.{k}": v for k, v in original().items() if not k.startswith("head.")}
    state["decode_head.linear_c1.proj.weight"] = torch.zeros(4, 16)
    converted = convert(state)
    assert "decode_head.linear_c1.proj.weight" in converted
    assert "backbone.layers.0.2.weight" in converted

    torch.save(state, tmp_path / "segformer.pth")
    model = FDAMMixVisionTransformer(**TINY, fdam=BOTH)
    load_pretrained(model, tmp_path / "segformer.pth")
    assert torch.equal(model.layers[0][2].weight, state["backbone.norm1.weight"])


def test_part_of_an_original_file() -> None:
    part = {k: v for k, v in original().items() if k.startswith(("norm2", "block1.0.mlp.fc2"))}
    assert detect(part) is None
    assert set(convert(part, source="nvlabs_mit")) == {
        "layers.0.1.0.ffn.layers.4.weight",
        "layers.0.1.0.ffn.layers.4.bias",
        "layers.1.2.weight",
        "layers.1.2.bias",
    }
    with pytest.raises(CheckpointError, match="attn.q.weight .* is missing"):
        convert({"block1.0.attn.kv.weight": torch.zeros(32, 16)})


@pytest.mark.parametrize(
    "keys",
    [
        ["patch_embed1.proj.weight", "block1.0.attn.proj_1.weight", "block1.0.mlp.fc1.weight"],
        ["blocks.0.attn.qkv.weight", "blocks.0.norm1.weight", "norm.weight"],
    ],
    ids=["LSKNet", "plain ViT"],
)
def test_alike_layouts_are_not_taken_for_the_original(keys: list[str]) -> None:
    assert detect({key: torch.zeros(1) for key in keys}) != "nvlabs_mit"


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_mmsegs_mit_and_plain_vit_are_told_apart(prefix: str) -> None:
    vit = VisionTransformer(img_size=32, embed_dims=16, num_layers=2, num_heads=2)
    vit_state = {prefix + key: value for key, value in vit.state_dict().items()}
    mit_state = {
        prefix + key: value for key, value in MixVisionTransformer(**TINY).state_dict().items()
    }
    assert detect(vit_state) == "mmseg"
    assert detect(mit_state) is None
    assert list(convert(mit_state)) == list(mit_state)


def test_part_of_mmsegs_plain_vit() -> None:
    part = {"layers.0.attn.attn.in_proj_weight": torch.zeros(6, 2)}
    assert detect(part) == "mmseg"
    named = convert({"layers.3.ffn.layers.1.bias": torch.zeros(2)}, source="mmseg")
    assert set(named) == {"blocks.3.mlp.fc2.bias"}


def test_mmsegs_segmentor_loads_unchanged(tmp_path: Path) -> None:
    theirs = segmentor("mmseg.MixVisionTransformer")
    file = tmp_path / "segformer.pth"
    torch.save(dict(meta=dict(), state_dict=theirs.state_dict()), file)
    x = torch.randn(1, 3, 64, 64)

    ours = segmentor("FDAMMixVisionTransformer")
    load_state(ours, convert(torch.load(file)), "mmseg's", fit="exact")
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)

    with_fdam = segmentor("FDAMMixVisionTransformer", fdam=BOTH)
    load_pretrained(with_fdam.backbone, file)
    load_state(with_fdam, convert(torch.load(file)), "mmseg's", fit="pretrained")
    torch.testing.assert_close(with_fdam(x), theirs(x), rtol=1e-3, atol=1e-3)


def test_runner_and_mmseg_read_each_others_files(tmp_path: Path) -> None:
    theirs, ours = segmentor("mmseg.MixVisionTransformer"), segmentor("FDAMMixVisionTransformer")
    theirs_file, ours_file = tmp_path / "theirs.pth", tmp_path / "ours.pth"
    torch.save(theirs.state_dict(), theirs_file)
    torch.save(ours.state_dict(), ours_file)

    runner = FDAMRunner(
        ours, str(tmp_path / "work"), cfg=Config(dict()), experiment_name="mit", default_hooks={}
    )
    runner.load_checkpoint(str(theirs_file))
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key

    result = load_checkpoint(theirs, str(ours_file), map_location="cpu", strict=True)
    assert isinstance(runner, Runner) and result
