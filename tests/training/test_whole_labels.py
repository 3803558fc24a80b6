"""Label maps of a test appear whole."""

from pathlib import Path

import pytest
from mmengine.evaluator import BaseMetric, Evaluator

from fdam_mm.training.whole_labels import write_whole_labels


class IoUMetric(BaseMetric):
    """Writes as mmseg's does: in place."""

    def __init__(self, output_dir: str) -> None:
        super().__init__()
        self.output_dir, self.seen = output_dir, []

    def process(self, data_batch: object, data_samples: list) -> None:
        for name in data_samples:
            file = Path(self.output_dir) / f"{name}.png"
            file.write_text("half")
            self.seen.append(sorted(f.name for f in Path(self.output_dir).parent.glob("*.png")))
            if name == "fails":
                raise KeyboardInterrupt
            file.write_text("whole")

    def compute_metrics(self, results: list) -> dict:
        return {}


def test_none_is_seen_half_written(tmp_path: Path) -> None:
    evaluator = Evaluator(IoUMetric(str(tmp_path / "out")))
    write_whole_labels(evaluator)
    evaluator.process(["a", "b"])
    evaluator.process(["a", "c"])
    with pytest.raises(KeyboardInterrupt):
        evaluator.process(["fails"])
    (metric,) = evaluator.metrics
    assert metric.seen == [
        [],
        [],
        ["a.png", "b.png"],
        ["a.png", "b.png"],
        ["a.png", "b.png", "c.png"],
    ]
    assert {f.name: f.read_text() for f in (tmp_path / "out").iterdir()} == dict.fromkeys(
        ("a.png", "b.png", "c.png"), "whole"
    )
    assert metric.output_dir == str(tmp_path / "out")
