"""Tables of README and docs are those of the committed results."""

import json
import re
from pathlib import Path

import pytest
from support.tools import ROOT

from fdam_mm.benchmarking.exports import exports_table, refusals_table
from fdam_mm.benchmarking.profiles import kind_of, profiles_table
from fdam_mm.benchmarking.results import read_results
from fdam_mm.benchmarking.rule import largest_sides
from fdam_mm.benchmarking.tables import make_table, with_tables
from fdam_mm.errors import UsageError
from fdam_mm.layers.forms import LARGEST_SIDES

RESULTS = ROOT / "benchmarks/results"
_ALL = (ROOT / "README.md", *ROOT.glob("docs/*.md"))
TEXTS = [path for path in _ALL if re.search("<!-- (bench|counts|refusals): ", path.read_text())]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_texts_hold_the_results(path: Path) -> None:
    """Else: fdam bench tables README.md docs/*.md"""
    assert with_tables(path.read_text(), RESULTS) == path.read_text()


@pytest.mark.parametrize("device", LARGEST_SIDES)
def test_the_form_is_chosen_as_measured(device: str) -> None:
    cases = read_results(RESULTS / f"forms_{device}.json")["cases"]
    assert LARGEST_SIDES[device] == largest_sides(cases)


def test_a_table_is_replaced_where_it_stands(tmp_path: Path) -> None:
    spread = dict(median=2.0, q1=1.5, q3=3.0, min=1.0)
    variants = dict(
        plain=dict(ms=spread, ratio=spread), fdam=dict(ms=spread, ratio={**spread, "median": 1.25})
    )
    case = dict(block="vit", dim=64, grid=8, batch=1, variants=variants)
    results = dict(
        command="fdam bench layers",
        machine=dict(device="A CPU", threads=1, torch="2", cores=4),
        load=dict(before=[0.5, 0, 0], after=None),
        cases=[dict(case, mode=mode) for mode in ("inference", "step")],
    )
    (tmp_path / "some.json").write_text(json.dumps(results))
    text = "before\n  <!-- bench: some -->\n  old\n  <!-- /bench -->\nafter\n"
    new = with_tables(text, tmp_path)
    assert new.startswith("before\n  <!-- bench: some -->\n  | ")
    assert new.endswith("  <!-- /bench -->\nafter\n") and "old" not in new
    row = "  | vit, dim 64, 8 x 8 tokens, batch 1 | 2 ms / 2 ms | 1.25 / 1.25 |\n"
    assert row in new and "A CPU, 1 thread, torch 2, load average 0.5 on 4 cores" in new
    assert with_tables(new, tmp_path) == new
    results["cases"].append(
        dict(case, batch=2, mode="inference", variants=dict(plain=variants["plain"]))
    )
    (tmp_path / "some.json").write_text(json.dumps(results))
    assert "batch 2 | 2 ms | - |\n" in with_tables(text, tmp_path)
    results["cases"].pop()
    for count, variant in enumerate(variants.values(), 2):
        variant.update(gflop=0.5 * count, moved_mib=4.0, calls=10 * count)
    results["cases"][0]["variants"] = variants
    (tmp_path / "some.json").write_text(json.dumps(results))
    counts = with_tables("<!-- counts: some -->\n<!-- /counts -->\n", tmp_path)
    ratios = "1.50 / 1.50 | 1.00 / 1.00 | 1.50 / 1.50 |"
    assert f"batch 1 | 1 / 1 | 4 / 4 | 20 / 20 | {ratios}\n" in counts
    for kept, variant in zip((18.0, 21.39), variants.values(), strict=True):
        variant["saved_over_input"] = kept
    results["cases"][1]["variants"] = variants
    (tmp_path / "some.json").write_text(json.dumps(results))
    assert row.replace("1.25 |", "1.25 | 18, 21.39 |") in with_tables(new, tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"command": "x", "machine": {}}'])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text(content)
    with pytest.raises(UsageError, match="holds no results of fdam bench"):
        read_results(tmp_path / "some.json")


def test_ways_of_training_are_rows() -> None:
    common = dict(parameters=1000, step_ms=12.4, delta_bytes=None)
    cases = [
        dict(target="a", way="full", rate=1e-3, seed=s, miou=m, trained=1000, **common)
        for s, m in enumerate([20.0, 30.0])
    ]
    cases.append({**cases[0], "way": "FDAM", "rate": 0.1, "trained": 20, "delta_bytes": 500_000})
    results = dict(
        command="c", kind="trainings", cases=cases,
        machine=dict(device="A CPU", threads=1, torch="2", cores=4), load=dict(before=None),
    )  # fmt: skip
    lines = make_table(results)
    assert lines[2:4] == [
        "| a | full | 1,000 (100.0%) | 25.0 (20.0, 30.0) | - | 12 ms | - |",
        "| a | FDAM | 20 (2.0%) | - | 20.0 | 12 ms | 0.5 MB |",
    ]
    assert lines[-1] == "`c`: A CPU, 1 thread, torch 2"


def test_tables_of_exports() -> None:
    check = dict(largest_error=0.5, largest_logit=10.0, changed=0.0, inputs=3)
    checks = dict(onnxruntime=check, openvino={**check, "largest_error": 0.2, "changed": 0.0125})
    case = dict(model="ViT", data=None, precision="fp32", any_size=False, size=[64, 96])
    metric = dict(name="segm_mAP", torch=0.28312, onnx=0.25, pictures=9)
    nuts = dict(case, model="nuts", data="nuts", precision="int8", checks=checks, metric=metric)
    refused = dict(case, model="S2ANet", reason="no operator | at all")
    cases = [
        dict(case, checks=checks, batch=None),
        dict(case, checks=dict(onnxruntime=check, openvino=check), any_size=True, size=None,
             batch=1),
        refused,
        dict(nuts, batch=1),
        dict(refused, model="nuts", any_size=True),
    ]  # fmt: skip
    assert exports_table(cases)[2:] == [
        "| ViT | fp32 | any and 1 | 64 x 96: 5.0e-02, 2.0e-02 | 5.0e-02, 5.0e-02 | "
        "1.250% of 3 pictures | - |",
        "| nuts, trained | int8 | 1 | 64 x 96: 5.0e-02, 2.0e-02 | - | 1.250% of 3 pictures | "
        "segm_mAP 0.2831, 0.25 on 9 pictures |",
    ]
    assert refusals_table(cases)[2:] == [
        "| S2ANet | `no operator \\| at all` |",
        "| nuts, of any size | `no operator \\| at all` |",
    ]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("aten::baddbmm_", "products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "products"),
        ("aten::_fft_r2c", "FFTs"),
        ("aten::copy_", "copies"),
        ("aten::addcmul_", "elementwise"),
        ("aten::tanh", "elementwise"),
        ("aten::t", "calls"),
        ("aten::as_strided", "calls"),
        ("_AddFilteredBackward", "calls"),
        ("autograd::engine::evaluate_function: AddmmBackward0", "calls"),
    ],
)
def test_kinds_of_operations(event: str, kind: str) -> None:
    assert kind_of(event) == kind


def test_profiles_show_what_fdam_adds() -> None:
    variants = dict(plain=dict(products=2.0, calls=1.0), fdam=dict(products=2.5, calls=0.5))
    lines = profiles_table([dict(subject="a block", mode="step", variants=variants)])
    begin = "| a block | step | 2.00 + 0.50 | 0.00 + 0.00 | 0.00 + 0.00 | 0.00 + 0.00 "
    assert lines[2] == begin + "| 1.00 - 0.50 | 3.00 + 0.00 |"
