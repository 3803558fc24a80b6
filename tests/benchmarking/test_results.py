"""A benchmark's file grows case by case, and a second start goes on."""

import json
import time
from functools import partial
from pathlib import Path

import pytest

from fdam_mm.benchmarking.results import Cases, Measurement, measure_each, remaining

SIDES = (14, 32, 64)


class Measured:
    """Notes the sides it measures; one of them is interrupted."""

    def __init__(self, interrupted: int | None = None) -> None:
        self.sides: list[int] = []
        self.interrupted = interrupted
        self.all = [Measurement(dict(grid=side), partial(self.case, side)) for side in SIDES]

    def case(self, side: int) -> Cases:
        if side == self.interrupted:
            raise KeyboardInterrupt
        self.sides.append(side)
        return [dict(grid=side, mode=mode, shape=(side, side)) for mode in ("inference", "step")]


def grids(out: Path) -> list[int]:
    return [case["grid"] for case in json.loads(out.read_text())["cases"]]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """What is left of a benchmark that was stopped in its last measurement."""
    out = tmp_path / "some.json"
    with pytest.raises(KeyboardInterrupt):
        measure_each(Measured(64).all, "a command", "cpu", out, kind="a kind")
    return out


def test_what_was_measured_stays(out: Path) -> None:
    assert grids(out) == [14, 14, 32, 32]
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_a_second_start_goes_on(out: Path, capsys, caplog) -> None:
    again = Measured()
    results = measure_each(again.all, "a command", "cpu", out, kind="a kind")
    assert again.sides == [64]
    assert grids(out) == [14, 14, 32, 32, 64, 64]
    assert json.loads(out.read_text()) == json.loads(json.dumps(results))
    assert results["kind"] == "a kind" and not remaining(again.all, results["cases"])
    assert f"{out} holds 2 of 3 measurements of this command" in caplog.text
    assert "64:  67%" in capsys.readouterr().err  # the bar: what is done, and what is next


@pytest.mark.parametrize("other", ["command", "kind", "machine", "file"])
def test_anything_else_begins_anew(other: str, out: Path, caplog) -> None:
    content = json.loads(out.read_text())
    content[other] = "another"
    out.write_text("no results" if other == "file" else json.dumps(content))
    again = Measured()
    measure_each(again.all, "a command", "cpu", out, kind="a kind")
    assert again.sides == list(SIDES) and not caplog.text


def test_after_the_end_nothing_begins() -> None:
    measured = Measured()
    results = measure_each(measured.all, "a command", "cpu", end=time.monotonic() - 1)
    assert measured.sides == results["cases"] == []
    assert remaining(measured.all, results["cases"]) == measured.all
