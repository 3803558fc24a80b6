"""fdam report: its numbers are the test tool's, its page needs nothing and escapes all."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fdam_mm.cli import main as fdam
from fdam_mm.cli import test as tool
from fdam_mm.report import evaluate, write_page
from fdam_mm.report.markup import table
from fdam_mm.report.page import _beside, _measured
from fdam_mm.report.runs import ReportedRun


def test_metrics_are_the_test_tools(
    run: ReportedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run.config.filename
    words = [config, str(run.checkpoint), "--work-dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["fdam test", *words])
    tool.main(words)
    (file,) = tmp_path.glob("*/*.json")
    theirs = json.loads(file.read_text())
    assert run.evaluation.metrics == {name: theirs[name] for name in run.evaluation.metrics}
    assert set(run.evaluation.metrics) == {"aAcc", "mIoU", "mAcc"}


def test_the_table_is_of_the_same_counts(run: ReportedRun) -> None:
    found = run.evaluation
    assert np.nanmean(found.by_class["IoU"]) == pytest.approx(found.metrics["mIoU"], abs=0.006)
    assert np.nanmean(found.by_class["accuracy"]) == pytest.approx(
        found.metrics["mAcc"], abs=0.006
    )
    assert len(found.files) == len(found.scores) == 4


def page_of(runs: list[ReportedRun], file: Path) -> str:
    write_page(runs, file, pictures=1)
    return file.read_text()


def assert_alone(page: str) -> None:
    """Nothing is loaded, and nothing runs."""
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert "<script" not in page and "url(http" not in page


def test_the_page_of_a_segmentor(run: ReportedRun, tmp_path: Path) -> None:
    page = page_of([run], tmp_path / "page.html")
    assert_alone(page)
    assert "a&lt;b&gt; &amp; &quot;c&quot;" in page and "a<b>" not in page
    assert page.count("data:image/jpeg") == 2 * 3  # truth, predicted, wrong
    assert "boundary IoU" in page and "wire" in page and "learning rate" in page
    assert "parameters (M)" in page and "fdam test" in page


def test_the_page_of_two_runs(run: ReportedRun, tmp_path: Path) -> None:
    page = page_of([run, run], tmp_path / "page.html")
    assert_alone(page)
    assert "difference" in page and page.count("learning rate") >= 1


def test_the_page_of_a_detector(detector: ReportedRun, tmp_path: Path) -> None:
    """mmdet's own table by class says the same."""
    config = detector.config.copy()
    config.test_evaluator.classwise = True
    theirs = evaluate(config, detector.checkpoint).metrics
    ours = detector.evaluation
    for name, value in zip(ours.classes, ours.by_class["bbox AP"], strict=True):
        expected = theirs[f"coco/{name}_precision"]
        assert round(value / 100, 3) == expected or np.isnan([value, expected]).all()
    assert ours.metrics["coco/bbox_mAP"] == theirs["coco/bbox_mAP"]
    assert ours.confusion[:-1].sum() == ours.by_class["objects"].sum() > 0
    page = page_of([detector], tmp_path / "page.html")
    assert_alone(page)
    absent = len(ours.classes) - len(ours.there)
    assert (f"{absent} of 6 classes are not shown" in page) == bool(absent)
    assert "bbox at IoU 0.5" in page and page.count("data:image/jpeg") == 2 * 2
    assert "parameters (M)" in page and detector.shape == (96, 96)  # as it is tested


def test_the_page_of_rotated_boxes(oriented: ReportedRun, tmp_path: Path) -> None:
    found = oriented.evaluation
    (column,) = [c for c in found.by_class if c.startswith("rotated")]
    assert column == "rotated AP50" and found.curves
    page = page_of([oriented], tmp_path / "page.html")
    assert_alone(page)
    assert "rotated at IoU 0.5" in page and "parameters (M)" in page


def test_classes_that_are_not_there(run: ReportedRun, tmp_path: Path) -> None:
    """Of ten one is predicted alone, one is neither there nor predicted."""
    confusion = np.diag(np.arange(1, 11))
    confusion[3, 3], confusion[4, 4], confusion[0, 4] = 0, 0, 5
    columns = {
        "IoU": np.where(np.arange(10) == 3, np.nan, 50.0),
        "share of pixels": np.where(np.arange(10) == 3, 0.0, 1.0),
    }
    columns["boundary IoU"] = columns["accuracy"] = columns["IoU"]
    names = tuple(f"class {k}" for k in range(10))
    found = replace(
        run.evaluation, classes=names, palette=((0, 0, 0),) * 10, by_class=columns,
        confusion=confusion,
    )  # fmt: skip
    assert found.there == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    write_page([replace(run, evaluation=found)], tmp_path / "page.html", pictures=0)
    page = (tmp_path / "page.html").read_text()
    assert "1 of 10 classes are not shown" in page and "class 3" not in page and "class 4" in page


def test_differences() -> None:
    assert _beside([50.0, 49.0, None]) == ["50.00", "49.00", "-1.00", None, None]
    assert _beside([0.5, 0.625]) == ["0.500", "0.625", "+0.125"]
    assert _measured({"coco/bbox_mAP": 0.0, "coco/bbox_mAP_l": -1.0}) == {"coco/bbox_mAP": 0.0}


def test_tables_escape() -> None:
    assert table(["<i>"], [["<b>", "a&b", None, 1.5]]).count("&lt;") == 2


def test_the_command(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fdam", "report", str(work_dir), "--pictures", "0"])
    fdam.main()
    page = (work_dir / "report.html").read_text()
    assert "trained by" in page and "data:image" not in page
    record = json.loads(next(work_dir.glob("*/run.json")).read_text())
    assert record["machine"]["torch"] in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no"], "no is no folder"),
        (["."], "holds no config"),
        ([".", ".", "--out", "a.html", "--checkpoint", "x"], "single work folder"),
        ([".", "."], "need --out"),
        ([".", "--pictures", "-1"], "expected 0 or more"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fdam", "report", *words])
    with pytest.raises(SystemExit, match=f"fdam report: error: .*{message}"):
        fdam.main()
