"""The study's own pieces: the rivals' formulas, the plan, and what its tables say."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

STUDY = Path(__file__).parents[2] / "benchmarks/study"
sys.path.insert(0, str(STUDY))

import compare  # noqa: E402
import measure  # noqa: E402
import rivals  # noqa: E402
import scores  # noqa: E402
import setups  # noqa: E402
import step_times  # noqa: E402
import tables  # noqa: E402

SIZES = dict(img_size=32, patch_size=8, num_layers=2, embed_dims=24, num_heads=3)


def attention(tokens=7):
    torch.manual_seed(0)
    matrix = torch.randn(2, 3, tokens, tokens).softmax(-1)
    v = torch.randn(2, 3, tokens, 4)
    return matrix, v, matrix @ v


def joined(x):
    return x.transpose(1, 2).flatten(2)


def test_attn_scale_scales_the_attention_less_its_mean():
    matrix, v, y = attention()
    layer = rivals.AttnScale(3)
    torch.testing.assert_close(layer(None, v, y), joined(y))
    torch.nn.init.normal_(layer.omega)
    low = torch.full_like(matrix, 1 / matrix.shape[-1])
    scaled = low + (1 + layer.omega) * (matrix - low)
    torch.testing.assert_close(layer(None, v, y), joined(scaled @ v))


def test_neutreno_adds_the_first_layers_values():
    _, v, y = attention()
    first = rivals.NeuTRENO(None)
    second = rivals.NeuTRENO(first)
    torch.testing.assert_close(first(None, v, y), joined(y))
    torch.testing.assert_close(second(None, 3 * v, y), joined(y + 0.6 * (v - 3 * v)))


def test_feat_scale_weighs_the_mean_and_the_rest():
    x = torch.randn(2, 6, 5)
    layer = rivals.FeatScale(5)
    torch.testing.assert_close(layer(x), x)
    torch.nn.init.constant_(layer.low, 1.0)
    torch.nn.init.constant_(layer.high, -1.0)
    mean = x.mean(1, keepdim=True)
    torch.testing.assert_close(layer(x), (2 * mean).expand_as(x))
    gamma = torch.rand(5)
    torch.testing.assert_close(layer.add_to(x, x, (2, 3), 0, gamma), x + gamma * layer(x))


@pytest.mark.parametrize("name", rivals.RIVALS)
def test_rivals_start_from_the_plain_weights_and_learn(name):
    plain = rivals.FDAMVisionTransformer(**SIZES, out_indices=(1,))
    model = rivals.RivalVisionTransformer(name, **SIZES, out_indices=(1,))
    assert not model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    image = torch.randn(1, 3, 32, 32)
    (out,) = model(image)
    if name != "NeuTRENO":
        torch.testing.assert_close(out, plain(image)[0])
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_an_unknown_rival_is_refused():
    with pytest.raises(ValueError, match="expected one of AttnScale"):
        rivals.RivalVisionTransformer("Other", **SIZES, out_indices=(1,))


def test_every_run_has_a_name_of_its_own_and_its_settings_fit_the_config():
    small, large = list(setups.planned()), list(setups.planned(large=True))
    assert len({run.name for run in small + large}) == len(small + large)
    assert {run.setup for run in small + large} == set(setups.SETUPS)
    assert {run.seed for run in setups.planned(seeds=1)} == {0}
    asked = setups.planned("vit_textures/AttnScale-*", seeds=7)
    assert [run.seed for run in asked] == list(range(7))
    assert list(setups.planned("vit_camvid/FDAM-0")) == [("vit_camvid", "FDAM", 0)]


@pytest.mark.parametrize("name", setups.SETUPS)
def test_variants_build(name):
    from fdam_mm.apis.building import build_model
    from fdam_mm.training.config import read_config

    setup = setups.SETUPS[name]
    sizes = {}
    for variant, overrides in setup.variants.items():
        with torch.device("meta"):
            model = build_model(read_config(str(setup.config), dict(overrides)))
        sizes[variant] = sum(p.numel() for p in model.parameters())
    matched = "wider, FDAM's parameters"
    if matched in sizes:
        assert sizes[matched] / sizes["FDAM"] == pytest.approx(1, abs=0.04)
    assert all(size >= sizes["plain"] for size in sizes.values())


def test_counts_of_areas():
    labels = np.array([[0, 0, 1], [2, 1, 255]])
    predicted = np.array([[0, 1, 1], [0, 1, 2]])
    found = measure.area_counts(labels, predicted, 3, labels == 255)
    assert found.tolist() == [[1, 2, 0], [3, 3, 1]]


def result(variant, seed, right):
    """Of two classes on three blocks of 100 pixels, of which ``right`` are right in each."""
    area = [[[right, right], [100, 100]]] * 3
    return dict(
        setup="vit_camvid", variant=variant, seed=seed, parameters=1000,
        backbone=dict(gflop=1.0), classes=["pole", "sign"],
        test=dict(area=area, boundary=area), validations=[dict(step=9, mIoU=40.0)],
    )  # fmt: skip


def test_the_gain_and_its_interval():
    plain = [result("plain", seed, 50) for seed in range(3)]
    variant = [result("FDAM", seed, 50 + gain) for seed, gain in enumerate((1, 2, 3))]
    mean, low, high = scores.bootstrap(plain, variant)
    assert mean == pytest.approx(2) and 1 <= low < 2 < high < 3.001
    assert scores.bootstrap(plain, plain) == (0, 0, 0)


def test_a_table(tmp_path, monkeypatch):
    setup = replace(setups.SETUPS["vit_camvid"], thin=("pole",))
    monkeypatch.setitem(setups.SETUPS, "vit_camvid", setup)
    varied = result("FDAM, FreqScale's rate x 1", 0, 58)
    for made in (result("plain", 0, 50), result("FDAM", 0, 60), varied):
        file = tmp_path / "vit_camvid" / f"{made['variant']}-0.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(made))
    ratios = dict(plain=1.0, FDAM=1.5)
    variants = {name: dict(ratio=dict(median=ratio)) for name, ratio in ratios.items()}
    cases = [dict(setup="vit_camvid", variants=variants)]
    (tmp_path / scores.STEP_TIMES).write_text(json.dumps(dict(cases=cases)))
    text = "<!-- study: vit_camvid -->\nold\n<!-- /study -->"
    head, _, plain, fdam, varied = tables.with_tables(text, tmp_path).splitlines()[1:-1]
    assert "over plain (95 %)" in head
    assert (
        plain
        == "| plain | 1 | 50.00 | 50.00 | - | - | 40.00 | 50.00 | 50.00 | 1,000 | 1.00 | 1.00 |"
    )
    assert "| 60.00 | 60.00 | +10.00 (+10.00 to +10.00) | - | 40.00 | 60.00 |" in fdam
    assert "| +8.00 (+8.00 to +8.00) | -2.00 (-2.00 to -2.00) |" in varied
    assert "| 1.50 |" in fdam


@pytest.mark.parametrize("name", ["vit_textures", "lsknet_rotated"])
def test_steps_are_timed_beside_one_another(name, monkeypatch):
    setup = setups.SETUPS[name]
    few = {variant: setup.main[variant] for variant in ("plain", "FDAM")}
    monkeypatch.setitem(setups.SETUPS, name, replace(setup, main=few, further={}))
    (case,) = step_times.time_variants(name, 2, "cpu")
    assert case["variants"]["plain"]["ratio"]["median"] == 1
    assert case["variants"]["FDAM"]["ms"]["median"] > 0


def test_runs_made_twice_are_compared(tmp_path):
    once, again = tmp_path / "once/vit_camvid", tmp_path / "again/vit_camvid"
    for folder, right in ((once, 60), (again, 61)):
        folder.mkdir(parents=True)
        plain = result("plain", 0, 50) | dict(machine=f"of {folder.parent.name}")
        (folder / "plain-0.json").write_text(json.dumps(plain))
        (folder / "FDAM-0.json").write_text(json.dumps(result("FDAM", 0, right)))
    (once / "FDAM-1.json").write_text(json.dumps(result("FDAM", 1, 60)))
    assert compare.compare(once.parent, again.parent)[2:] == [
        "| vit_camvid/FDAM-0 | 60.00 | 61.00 | differ |",
        "| vit_camvid/plain-0 | 50.00 | 50.00 | equal |",
    ]


def test_the_documented_tables_are_those_of_the_results():
    text = (Path(__file__).parents[2] / "docs/study.md").read_text()
    assert tables.with_tables(text, STUDY / "results") == text
