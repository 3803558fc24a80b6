"""FDAMVisionTransformer: golden parity, equality with mmseg, switches, loading, freezing."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import get_state_dict
from mmseg.models.backbones import VisionTransformer
from support.golden import load_case, relative_error
from torch import nn

from fdam_mm.checkpoints import convert
from fdam_mm.errors import CheckpointMismatchError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import FDAMVisionTransformer

TINY = dict(img_size=64, embed_dims=48, num_layers=4, num_heads=3, out_indices=(0, 1, 2, 3))
RELEASED = dict(att_inv=True, freq_scale=True)


def strip(state: dict) -> dict:
    return {key.removeprefix("backbone."): value for key, value in state.items()}


def make(**settings: object) -> FDAMVisionTransformer:
    torch.manual_seed(0)
    return FDAMVisionTransformer(**{**TINY, **settings}).eval()


def test_golden() -> None:
    case = load_case("fdam_deit_tiny")
    model = make(layer_scale_init=1e-4, fdam=RELEASED)
    model.load_state_dict(strip(convert(case.state)))
    for name, image in case.inputs.items():
        for index, out in enumerate(model(image)):
            assert relative_error(out, case.outputs[f"{name}:{index}"]) < 1e-5, (name, index)


@pytest.mark.parametrize("cls_token", [True, False])
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (70, 50)])
def test_plain_equals_mmseg(cls_token: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs = VisionTransformer(
        **{**TINY, "img_size": (64, 64)},
        norm_cfg=dict(type="LN", eps=1e-6),
        with_cls_token=cls_token,
        patch_bias=cls_token,  # mmseg has both kinds
    )
    theirs.init_weights()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.1)
    theirs.eval()
    ours = make(with_cls_token=cls_token)
    ours.load_state_dict(convert(theirs.state_dict()))
    image = torch.randn(2, 3, *size)
    for a, b in zip(ours(image), theirs(image), strict=True):
        assert relative_error(a, b) < 1e-5


@pytest.mark.parametrize(
    "fdam",
    [
        dict(att_inv=True),
        dict(freq_scale=True),
        dict(att_inv=dict(low=True, high=False), freq_scale=dict(groups=8, num_filters=2)),
        RELEASED,
    ],
)
def test_fdam_starts_as_the_plain_model(fdam: dict) -> None:
    plain, model = make(layer_scale_init=0.1), make(layer_scale_init=0.1, fdam=fdam)
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert missing and not unexpected
    image = torch.randn(1, 3, 64, 64)
    assert relative_error(model(image)[-1], plain(image)[-1]) < 1e-3


def test_every_parameter_learns() -> None:
    model = make(layer_scale_init=0.1, with_cls_token=True, fdam=RELEASED)
    for layer in model.modules():
        if isinstance(layer, FreqScale):
            nn.init.normal_(layer.bases)
    sum(out.square().mean() for out in model.train()(torch.randn(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_odd_input_and_class_token_stay_out_of_the_map() -> None:
    model = make(with_cls_token=True, fdam=RELEASED)
    assert [tuple(out.shape) for out in model(torch.randn(1, 3, 50, 70))] == [(1, 48, 4, 5)] * 4


@pytest.mark.parametrize("size", [(79, 65), (64, 111)])
def test_without_padding_the_rest_is_not_seen(size: tuple[int, int]) -> None:
    """As a bare strided convolution: 79 x 65 is what its first 64 x 64 are."""
    model = make(pad_patches=False, with_cls_token=True, layer_scale_init=0.1, fdam=RELEASED)
    image = torch.randn(1, 3, *size)
    whole = [side // 16 * 16 for side in size]
    for ours, expected in zip(
        model(image), model(image[..., : whole[0], : whole[1]]), strict=True
    ):
        assert ours.shape[-2:] == (size[0] // 16, size[1] // 16)
        torch.testing.assert_close(ours, expected)


def test_activation_checkpointing_changes_nothing() -> None:
    image = torch.randn(2, 3, 64, 64)
    results = []
    for with_cp in (False, True):
        model = make(layer_scale_init=0.1, with_cp=with_cp, fdam=RELEASED).train()
        out = model(image)[-1]
        out.square().sum().backward()
        results.append([out, *(p.grad for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_drop_path_grows_as_mmsegs_or_is_the_same_for_every_block() -> None:
    ramp = [block.drop_path.drop_prob for block in make(drop_path_rate=0.15).blocks]
    assert ramp == pytest.approx([0.0, 0.05, 0.1, 0.15])
    theirs = VisionTransformer(**{**TINY, "img_size": (64, 64)}, drop_path_rate=0.15)
    rates = [getattr(layer.ffn.dropout_layer, "drop_prob", 0.0) for layer in theirs.layers]
    assert ramp == pytest.approx(rates)
    constant = make(drop_path_rate=0.15, drop_path_ramp=False)
    assert [block.drop_path.drop_prob for block in constant.blocks] == [0.15] * 4


def test_last_block_from_the_end() -> None:
    assert make(out_indices=-1).out_indices == make(out_indices=3).out_indices == (3,)
    assert make(out_indices=(1, -1)).out_indices == (1, 3)


@pytest.mark.parametrize("fdam", [None, dict(att_inv=True)], ids=["plain", "att_inv"])
def test_export_leaves_the_batch_size_open(fdam: dict | None) -> None:
    model = make(num_layers=1, out_indices=0, with_cls_token=True, fdam=fdam).requires_grad_(False)
    batch = torch.export.Dim("batch", min=1, max=8)
    exported = torch.export.export(
        model, (torch.randn(2, 3, 64, 64),), dynamic_shapes=({0: batch},)
    )
    images = torch.randn(5, 3, 64, 64)
    torch.testing.assert_close(exported.module()(images), model(images))


@pytest.mark.parametrize("fdam", [None, RELEASED], ids=["plain", "fdam"])
def test_frozen_stages(fdam: dict | None) -> None:
    """A frozen block is frozen as a whole, FDAM's layers in it too."""
    model = make(frozen_stages=2, drop_path_rate=0.5, fdam=fdam).train()
    learning = {n.split(".")[1] for n, p in model.named_parameters() if p.requires_grad}
    assert learning == {"2", "3"}
    assert [block.training for block in model.blocks] == [False, False, True, True]
    assert not make(frozen_stages=0).patch_embed.proj.weight.requires_grad
    assert make().pos_embed.requires_grad


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(out_indices=(1, 4)), r"out_indices \(1, 4\) name blocks outside 0 .. 3"),
        (dict(out_indices=(0, 0, 1, 1)), "must ascend without duplicates"),
        (dict(out_indices=(3, 0)), "must ascend without duplicates"),
        (dict(out_indices=(3, -1)), "must ascend without duplicates"),
        (dict(frozen_stages=5), "frozen_stages 5"),
        (dict(fdam=dict(attinv=True)), r"fdam has no setting \['attinv'\]"),
        (dict(fdam=dict(freq_scale=dict(group=8))), r"fdam.freq_scale has no setting \['group'\]"),
        (dict(num_heads=5), "embed_dims 48 is not a multiple of num_heads 5"),
        (dict(num_heads=0), "num_heads is 0, expected 1 or more"),
        (dict(patch_size=0), "patch_size is 0"),
        (dict(embed_dims=0), "embed_dims is 0"),
        (dict(num_layers=0), "num_layers is 0"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.parametrize("fdam", [True, "all", dict(att_inv="yes")])
def test_bad_types(fdam: object) -> None:
    with pytest.raises(TypeError, match="fdam"):
        make(fdam=fdam)


def test_registered_once_in_the_root() -> None:
    model = MODELS.build(dict(type="FDAMVisionTransformer", **TINY, fdam=RELEASED))
    kinds = [type(m) for m in model.modules()]
    assert kinds.count(AttInv) == 4 and kinds.count(FreqScale) == 8


def save_deit(file: Path, grid: int, prefix_positions: int, **extra: torch.Tensor) -> dict:
    """A made-up ImageNet file as DeiT's authors save them."""
    source = make(img_size=16 * grid, with_cls_token=True)
    state = source.state_dict()
    state["pos_embed"] = torch.randn(1, prefix_positions + grid**2, 48)
    state.update({"head.weight": torch.randn(10, 48), "norm.weight": torch.ones(48)}, **extra)
    torch.save({"model": state}, file)
    return state


@pytest.mark.parametrize("prefix_positions", [0, 1, 2])  # DeiT-III, DeiT, distilled DeiT
@pytest.mark.parametrize("cls_token", [True, False])
def test_pretrained_deit(tmp_path: Path, prefix_positions: int, cls_token: bool) -> None:
    file = tmp_path / "deit.pth"
    state = save_deit(file, 3, prefix_positions, dist_token=torch.zeros(1, 1, 48))
    init_cfg = dict(type="Pretrained", checkpoint=str(file))
    model = make(with_cls_token=cls_token, fdam=RELEASED, init_cfg=init_cfg)
    model.init_weights()
    torch.testing.assert_close(model.blocks[1].mlp.fc1.weight, state["blocks.1.mlp.fc1.weight"])
    assert model.pos_embed.shape == (1, 16 + cls_token, 48)
    grid = state["pos_embed"][:, prefix_positions:].transpose(1, 2).reshape(1, 48, 3, 3)
    grid = nn.functional.interpolate(grid, (4, 4), mode="bicubic", align_corners=False)
    expected = grid.flatten(2).transpose(1, 2)
    torch.testing.assert_close(model.pos_embed.detach()[:, int(cls_token) :], expected)
    if cls_token and prefix_positions:
        assert torch.equal(model.pos_embed[:, 0], state["pos_embed"][:, 0])
        assert torch.equal(model.cls_token, state["cls_token"])


def expected_positions(state: dict, old: tuple[int, int], new: tuple[int, int]) -> torch.Tensor:
    grid = state["pos_embed"][:, -old[0] * old[1] :].transpose(1, 2).unflatten(2, old)
    grid = nn.functional.interpolate(grid, new, mode="bicubic", align_corners=False)
    return grid.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("cls_token", [True, False])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((2, 8), (4, 4)),  # as many positions, another grid
        ((4, 4), (2, 8)),
        ((2, 8), (8, 2)),
        ((3, 5), (4, 4)),
        ((3, 6), (3, 6)),  # 18 are also 2 + 4 x 4
        ((3, 6), (6, 6)),
        ((3, 3), (2, 5)),
    ],
)
def test_grids_that_are_no_squares(old: tuple, new: tuple, cls_token: bool) -> None:
    source = make(img_size=(16 * old[0], 16 * old[1]), with_cls_token=cls_token)
    state = get_state_dict(source)  # mmengine's, of which checkpoints are made
    model = make(img_size=(16 * new[0], 16 * new[1]), with_cls_token=cls_token)
    model.load_state_dict(state)
    expected = expected_positions(state, old, new)
    torch.testing.assert_close(model.pos_embed.detach()[:, int(cls_token) :], expected)
    assert torch.equal(model.pos_embed[:, : int(cls_token)], state["pos_embed"][:, :cls_token])
    assert ("pos_grid" in state) == (old[0] != old[1])
    assert "pos_grid" not in dict(model.named_buffers())


def test_a_file_without_its_grid_is_square_or_left_alone() -> None:
    model = make(img_size=(48, 96))
    state = {k: v for k, v in model.state_dict().items() if k != "pos_grid"}
    other = make(img_size=(48, 96))
    nn.init.zeros_(other.pos_embed)
    other.load_state_dict(state)
    assert torch.equal(other.pos_embed, model.pos_embed)
    state["pos_embed"] = torch.zeros(1, 7, 48)  # 4 + 3 are no class and distillation token
    with pytest.raises(RuntimeError, match="size mismatch for pos_embed"):
        other.load_state_dict(state)


def test_pretrained_that_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "deit3.pth"
    save_deit(file, 4, 1, **{"blocks.0.gamma_1": torch.ones(48)})
    init_cfg = dict(type="Pretrained", checkpoint=str(file))
    model = make(init_cfg=init_cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=r"(?s)blocks.0.gamma_1.*layer_scale_init"):
        model.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())  # left as it was
    with pytest.raises(CheckpointMismatchError, match="shapes differ"):
        make(embed_dims=24, init_cfg=init_cfg).init_weights()
    with pytest.raises(
        FileNotFoundError, match="nothing.pth does not exist; .* deit3.pth.*from scratch"
    ):
        make(init_cfg=dict(init_cfg, checkpoint=str(tmp_path / "nothing.pth"))).init_weights()


def test_pretrained_from_a_segmentor(tmp_path: Path) -> None:
    source = make(fdam=RELEASED)
    state = {f"backbone.{k}": v for k, v in source.state_dict().items()}
    state["decode_head.conv_seg.weight"] = torch.zeros(2, 2, 1, 1)
    torch.save(dict(state_dict=state), tmp_path / "segmentor.pth")
    model = make(init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "segmentor.pth")))
    with pytest.raises(CheckpointMismatchError, match="the checkpoint has FDAM"):
        model.init_weights()
    model = make(
        fdam=RELEASED,
        init_cfg=dict(
            type="Pretrained", checkpoint=str(tmp_path / "segmentor.pth"), prefix="backbone."
        ),
    )
    torch.nn.init.zeros_(model.blocks[0].attn.qkv.weight)
    model.init_weights()
    assert torch.equal(model.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)
