"""Counting FLOPs: against numbers written out by hand, and the tool's table."""

import math

import pytest
import torch
from support.tools import ROOT, fail, succeed
from torch import nn
from torch.nn import functional as F

from fdam_mm.analysis.flops import count
from fdam_mm.layers import AttInvAttention, FreqScale


@pytest.mark.parametrize("fused", [True, False])
def test_attention_counts_fused_or_not(fused: bool) -> None:
    batch, heads, tokens, dim = 2, 3, 10, 8
    q, k, v = torch.randn(3, batch, heads, tokens, dim).unbind(0)

    def attend() -> None:
        if fused:
            F.scaled_dot_product_attention(q, k, v)
        else:
            (q @ k.mT).softmax(-1) @ v

    expected = 2 * batch * heads * tokens * tokens * (dim + dim)
    assert count(nn.Identity(), attend)["total"].flops == expected


def test_ffts_count() -> None:
    x = torch.randn(2, 16, 16)
    counted = count(nn.Identity(), lambda: torch.fft.irfft2(torch.fft.rfft2(x)))["total"].flops
    assert counted == 2 * 2.5 * 2 * 256 * math.log2(256)
    complex_fft = count(nn.Identity(), lambda: torch.fft.fft2(x + 0j))["total"].flops
    assert complex_fft == counted


def test_parts_add_up() -> None:
    model = nn.ModuleDict(
        dict(a=nn.Linear(4, 6), b=nn.Conv2d(3, 2, 3, padding=1), unused=nn.Linear(2, 2))
    )
    x, image = torch.randn(5, 4), torch.randn(1, 3, 7, 7)

    def forward() -> None:
        model.a(x), model.b(image), x @ x.T

    counts = count(model, forward)
    assert counts["a"].flops == 2 * 5 * 4 * 6
    assert counts["a"].parameters == 4 * 6 + 6
    assert counts["b"].flops == 2 * 49 * 2 * 3 * 9
    assert counts["unused"].flops == 0
    assert counts["elsewhere"].flops == 2 * 5 * 4 * 5
    assert counts["total"].flops == sum(c.flops for n, c in counts.items() if n != "total")


def test_att_inv_costs_its_gates() -> None:
    x, (tokens, dim, heads) = torch.randn(1, 20, 48), (20, 48, 4)
    plain = AttInvAttention(dim, heads, low=False, high=False).eval()
    fdam = AttInvAttention(dim, heads).eval()
    more = (
        count(fdam, lambda: fdam(x))["total"].flops - count(plain, lambda: plain(x))["total"].flops
    )
    assert more == 2 * tokens * dim * 2 * heads


@pytest.mark.parametrize("size", [4, 24], ids=["matrices", "fft"])
def test_freq_scale_counts_whichever_way_it_computes(size: int) -> None:
    layer = FreqScale(32)
    image = torch.randn(1, 32, size, size)
    assert count(layer, lambda: layer(image))["total"].flops > 2 * 32 * size * size


def test_tool_prints_both_twins() -> None:
    text = succeed("get_flops.py", "configs/demo/vit_demo.py", "--shape", 64, 96, cwd=ROOT)
    assert "64 x 96" in text
    rows = {r.split()[0]: r.split() for r in text.splitlines() if r and r[0].isalpha()}
    _, plain, fdam, change, _, plain_flops, fdam_flops, *_ = rows["backbone"]
    assert float(plain) < float(fdam)
    assert float(plain_flops) < float(fdam_flops)
    assert change.startswith("+")
    assert float(rows["decode_head"][5]) > 0
    other = succeed(
        "get_flops.py", "configs/demo/fdam-vit_demo.py", "--shape", 64, 96, cwd=ROOT, fresh=True
    )
    assert table_of(other) == table_of(text)


def test_parameters_as_inputs_count() -> None:
    """Torch's counter stumbles over an input that wants gradients while they are off."""
    layer = nn.Linear(4, 6)
    query = nn.Embedding(5, 4)
    model = nn.ModuleDict(dict(layer=layer, query=query))
    assert count(model, lambda: layer(query.weight))["layer"].flops == 2 * 5 * 4 * 6
    assert query.weight.requires_grad


def test_proposals_are_a_fixed_number() -> None:
    """Also where the region proposal network, random here, finds few or none by chance."""
    file = "configs/lsknet/oriented-rcnn-le90_lsknet-t_fpn_1x_dota.py"
    text = succeed("get_flops.py", file, "--shape", 64, 64, cwd=ROOT)
    assert "The RoI head gets 2000 proposals" in text
    # two fully connected layers of 7 x 7 x 256 to 1024 to 1024, then 16 classes and 5 box sides
    flops = 2 * 2000 * (7 * 7 * 256 * 1024 + 1024 * 1024 + 1024 * (16 + 5))
    row = next(line for line in text.splitlines() if line.startswith("roi_head"))
    assert float(row.split()[5]) == pytest.approx(flops / 1e9, abs=1e-3)


@pytest.mark.parametrize(
    "name",
    ["mask-dino_r50_3scale_8xb2-160k_ade20k-512x512", "mask-dino_r50_4scale_8xb2-lsj-12e_coco"],
)
def test_fdam_stands_where_the_twin_has_it(name: str) -> None:
    """In Mask DINO that is the pixel decoder of the head."""
    file = f"configs/mask_dino/{name}.py"
    text = succeed("get_flops.py", file, "--shape", 128, 128, cwd=ROOT)
    rows = {r.split()[0]: r.split() for r in text.splitlines() if r and r[0].isalpha()}
    assert float(rows["panoptic_head"][1]) < float(rows["panoptic_head"][2])
    assert rows["backbone"][1] == rows["backbone"][2]


def test_the_model_says_how_many_channels() -> None:
    """Whatever the preprocessor's mean is for."""
    options = ("--cfg-options", "model.backbone.in_channels=4")
    text = succeed(
        "get_flops.py", "configs/demo/vit_demo.py", "--shape", 64, 64, *options, cwd=ROOT
    )
    assert "backbone" in text


def table_of(text: str) -> str:
    return text.partition("64 x 96\n")[2].partition("FLOPs count")[0]


def test_tool_says_what_is_wrong() -> None:
    no_size = ("--cfg-options", "model.data_preprocessor.size=None")
    message = fail("get_flops.py", "configs/demo/vit_demo.py", *no_size, cwd=ROOT)
    assert "--shape H W" in message
    message = fail("get_flops.py", "configs/demo/vit_demo.py", "--shape", 0, 0, cwd=ROOT)
    assert "--shape: '0', expected a number of pixels above 0" in message
    maxvit = "configs/timm/maxvit-t_upernet_8xb2-160k_ade20k-512x512.py"
    message = fail("get_flops.py", maxvit, "--shape", 100, 100, cwd=ROOT)
    assert "the model cannot take an input of 100 x 100: " in message
