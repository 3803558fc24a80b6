"""Summaries of times, what a forward keeps, and the rule between FreqScale's forms."""

import torch
from torch import nn

from fdam_mm.benchmarking.counts import count
from fdam_mm.benchmarking.layers import MODES, bench_block, bench_forms
from fdam_mm.benchmarking.memory import MIB, peak_mib, saved_for_backward
from fdam_mm.benchmarking.rule import largest_sides
from fdam_mm.benchmarking.timing import measure, summarise


def test_steps_are_interleaved_and_warm_up_does_not_count() -> None:
    calls: list[str] = []
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = measure(steps, 3, "cpu", warm_up=1)
    assert calls == list("abababab")
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_ratios_are_those_of_a_round() -> None:
    found = summarise({"plain": [1.0, 10.0, 2.0], "fdam": [2.0, 10.0, 3.0]})
    assert found["fdam"]["ms"] == dict(median=3.0, q1=2.5, q3=6.5, min=2.0)
    assert found["fdam"]["ratio"] == dict(median=1.5, q1=1.25, q3=1.75, min=2.0)
    assert found["plain"]["ratio"]["median"] == 1


def test_saved_for_backward() -> None:
    linear, x = nn.Linear(4, 4), torch.zeros(8, 4)
    assert saved_for_backward(linear, lambda: linear(x)) == 8 * 4 * 4
    chain = nn.Sequential(linear, nn.ReLU(), nn.Linear(4, 4))
    assert saved_for_backward(chain, lambda: chain(x)) == 2 * 8 * 4 * 4


def test_peak_of_a_step() -> None:
    x = torch.zeros(2**18)  # 1 MiB

    def step() -> None:
        first = x + 1
        second = first + 1
        del first
        second * 2

    assert peak_mib(step, "cpu") == 2


def test_counts() -> None:
    linear, x = nn.Linear(64, 32, bias=False), torch.randn(16, 64)
    counted = count(lambda: linear(x) + 1)
    assert counted["calls"] == 2
    assert counted["gflop"] == round(2 * 16 * 64 * 32 / 1e9, 4)
    # the product reads two and writes one, the sum reads one and writes one
    assert counted["moved_mib"] == round(4 * (16 * 64 + 64 * 32 + 3 * 16 * 32) / MIB, 2)
    conv, maps = nn.Conv2d(32, 32, 3, padding=1, groups=32), torch.randn(1, 32, 64, 64)
    maps.requires_grad_()
    both = count(lambda: conv(maps).backward(maps))  # forward, and two of the size backward
    assert both["gflop"] == round(3 * 2 * 9 * maps.numel() / 1e9, 4)
    by_fft = count(lambda: torch.fft.rfft2(torch.randn(256, 64, 64), norm="ortho"))
    assert by_fft["gflop"] == round(2.5 * 256 * 64 * 64 * 12 / 1e9, 4)


def test_block_cases() -> None:
    variants = ("plain", "reference", "fdam")
    inference, step = (
        bench_block("vit", 64, 16, 2, mode, variants, 2, "cpu", "float32")[0] for mode in MODES
    )
    assert (inference["mode"], step["mode"]) == ("inference", "step")
    kept = {name: found["saved_over_input"] for name, found in step["variants"].items()}
    assert kept["plain"] < kept["fdam"] < kept["reference"]
    for case in (inference, step):
        peaks = {name: found["peak_mib"] for name, found in case["variants"].items()}
        assert 0 < peaks["plain"] <= peaks["fdam"] <= peaks["reference"]


def test_form_cases() -> None:
    cases = [case for mode in MODES for case in bench_forms(32, 6, 1, mode, 2, "cpu")]
    assert [case["mode"] for case in cases] == ["inference", "step"]
    assert list(cases[0]["variants"]) == ["matrices", "fft"]


def _case(channels: int, side: int, matrices: float, fft: float) -> dict:
    times = dict(matrices=matrices, fft=fft)
    variants = {name: dict(ms=dict(median=value)) for name, value in times.items()}
    return dict(dim=channels, grid=side, variants=variants)


def test_rule_loses_the_least_time() -> None:
    cases = [
        _case(32, 16, 2, 1),
        _case(64, 16, 1, 2),
        _case(64, 32, 1.1, 1),  # an outlier between two grids on which the matrices win
        _case(64, 64, 1, 2),
        _case(64, 128, 2, 1),
    ]
    assert largest_sides(cases) == {32: 0, 64: 64}
