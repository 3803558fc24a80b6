"""EoMT's files: the authors' layout; transformers' is held against its numbers in models/eomt."""

from pathlib import Path

import pytest
import torch
from support.eomt import build
from torch import Tensor

from fdam_mm.checkpoints import convert, detect, load_pretrained
from fdam_mm.errors import CheckpointError, CheckpointMismatchError

_NAMES = {  # of ours, after those of timm's ViT
    "timm_model.": "network.encoder.backbone.",
    "queries.": "network.q.",
    "predictor.cls_embed.": "network.class_head.",
    "predictor.mask_embed.": "network.mask_head.",
    "masking.probs": "network.attn_mask_probs",
    "predictor.upscale.": "network.upscale.",
}
_PARTS = {".0.": ".conv1.", ".2.": ".conv2.", ".3.": ".norm."}


def authors_name(name: str) -> str:
    for ours, theirs in _NAMES.items():
        if name.startswith(ours):
            rest = name.removeprefix(ours)
            if ours == "predictor.upscale.":
                rest = rest[0] + _PARTS[rest[1:4]] + rest[4:]
            return theirs + rest
    raise AssertionError(name)


def authors_file() -> dict[str, Tensor]:
    torch.manual_seed(5)
    state = {
        authors_name(name): torch.randn_like(value)
        for name, value in build("dinov2").state_dict().items()
    }
    return state | {
        "network.encoder.pixel_mean": torch.zeros(1, 3, 1, 1),
        "network.encoder.pixel_std": torch.ones(1, 3, 1, 1),
        "criterion.empty_weight": torch.ones(6),
    }


@pytest.mark.parametrize("fdam", [None, dict(att_inv=True, freq_scale=True)])
def test_the_authors_file_starts_a_model(tmp_path: Path, fdam: dict | None) -> None:
    state = authors_file()
    torch.save(state, tmp_path / "pytorch_model.bin")
    model = build("dinov2", fdam=fdam)
    load_pretrained(model, tmp_path / "pytorch_model.bin")
    for name, value in model.state_dict().items():
        if "att_inv" not in name and "freq_scale" not in name:
            torch.testing.assert_close(value, state[authors_name(name)])


def test_a_whole_model_has_it_in_its_backbone() -> None:
    state = authors_file()
    assert detect(state) == "eomt"
    converted = convert(state)
    assert {k.removeprefix("backbone.") for k in converted} == build("dinov2").state_dict().keys()
    assert detect(converted) is None


def test_a_file_of_dinov2_is_no_model_of_dinov3(tmp_path: Path) -> None:
    torch.save(authors_file(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointMismatchError, match="timm_model.pos_embed"):
        load_pretrained(build("dinov3"), tmp_path / "pytorch_model.bin")


def test_gated_feed_forwards_and_missing_parts() -> None:
    width = torch.ones(2, 2)
    state = {
        "query.weight": width,
        "upscale_block.block.0.conv1.weight": torch.ones(2, 2, 2, 2),
        "embeddings.position_embeddings.weight": width,
        "layers.0.mlp.gate_proj.weight": width,
        "layers.0.mlp.up_proj.weight": 2 * width,
        "layers.0.mlp.down_proj.weight": 3 * width,
    }
    block = "backbone.timm_model.blocks.0"
    converted = convert(state)
    assert converted["backbone.timm_model.pos_embed"].shape == (1, 2, 2)
    assert converted[f"{block}.mlp.fc1.weight"].tolist() == [[1, 1], [1, 1], [2, 2], [2, 2]]
    assert converted[f"{block}.mlp.fc2.weight"].tolist() == (3 * width).tolist()
    with pytest.raises(CheckpointError, match=r"blocks\.0\.attn\.k_proj\.weight is missing"):
        convert(state | {"layers.0.attention.q_proj.weight": width})
    del state["layers.0.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match="has no up_proj beside it"):
        convert(state)
