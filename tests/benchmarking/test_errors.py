"""Errors in 16 bits against float64, and their table."""

import torch
from torch import nn

from fdam_mm.benchmarking import errors
from fdam_mm.benchmarking.tables import make_table
from fdam_mm.layers import AttInvAttention


def test_each_type_has_its_precision() -> None:
    torch.manual_seed(0)
    subject = AttInvAttention(32, 2), torch.randn(1, 20, 32), lambda module, x: module(x)
    exact, bf16, fp16 = errors.errors_of(subject, "cpu")
    assert exact.keys() == {"output", "gradients", "gradients of FDAM"}
    for kind, found in exact.items():
        assert 0 < found < 1e-5
        assert 1e-3 < bf16[kind] < 3e-2 and 1e-4 < fp16[kind] < 4e-3  # 2**-8 and 2**-11


def test_without_fdam_there_are_no_gradients_of_it() -> None:
    subject = nn.Linear(4, 4), torch.randn(2, 4), lambda module, x: module(x)
    for found in errors.errors_of(subject, "cpu"):
        assert found.keys() == {"output", "gradients"}


def test_a_row_per_subject(monkeypatch) -> None:
    linear = nn.Linear(4, 4), torch.randn(2, 4), lambda module, x: module(x)
    attention = AttInvAttention(4, 1), torch.randn(1, 3, 4), lambda module, x: module(x)
    monkeypatch.setattr(errors, "subjects", lambda: dict(linear=linear, attention=attention))
    cases = [case for measurement in errors.bench_errors("cpu") for case in measurement.run()]
    assert len(cases) == 2 * len(errors.DTYPES)
    machine = dict(device="A CPU", threads=1, torch="2", cores=4)
    load = dict(before=None, after=None)
    results = dict(command="fdam bench errors", machine=machine, load=load, cases=cases)
    head, rule, first, second, _, where = make_table(results)
    assert head.startswith("| relative error: output / gradients / gradients of FDAM | float32 |")
    assert first.startswith("| linear | ") and first.count(" / - |") == 3
    assert second.startswith("| attention | ") and " - " not in second
    assert where == "`fdam bench errors`: A CPU, 1 thread, torch 2"


def test_the_subjects_are_there() -> None:
    found = errors.subjects()
    assert sum(name.endswith("plain") for name in found) == 3
    assert all(not module.training for module, *_ in found.values())
