"""AP of rotated boxes starts no processes."""

import inspect
import subprocess

import numpy as np
import pytest

from fdam_mm.toolkits.registration import register_toolkit


def test_upstream_starts_processes() -> None:
    mean_ap = pytest.importorskip("mmrotate.evaluation.functional.mean_ap")
    assert "get_context('spawn').Pool(nproc)" in inspect.getsource(mean_ap.eval_rbbox_map)


def test_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of three objects are found, and then something that is none: AP 2/3."""
    register_toolkit("mmrotate")
    from mmrotate.evaluation.functional import eval_rbbox_map

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    true = np.array([[20.0, 20, 10, 6, 0.3], [60, 20, 10, 6, 0.3], [20, 60, 10, 6, 0.3]])
    scored = np.column_stack([true, [0.9, 0.8, 0.1]])
    scored[2, :2] = 100
    labels = dict(
        bboxes=true, labels=np.zeros(3, int), bboxes_ignore=np.zeros((0, 5)),
        labels_ignore=np.zeros(0, int),
    )  # fmt: skip
    mean, _ = eval_rbbox_map([[scored]], [labels], use_07_metric=False, logger="silent")
    assert mean == pytest.approx(2 / 3)
