"""Rows of bad inputs, run as a user does but in this process."""

import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import NamedTuple

import pytest
from mmengine.logging import MessageHub, MMLogger

from fdam_mm.cli import main as fdam

from .tools import ROOT


class Bad(NamedTuple):
    """An input that a tool refuses."""

    command: str
    """As typed, a file of ``tools/`` or ``fdam`` first; ``$name`` stands for what a test has."""
    message: str
    """Regular expression of the line."""
    code: int = 1
    """1 where our own errors say it, 2 where the parser of arguments does."""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def name_of(row: Bad) -> str:
    """Of a test, from its row."""
    return re.sub(r"[^\w.=-]+", "_", row.command)[:90]


def words(command: str, **values: object) -> list[str]:
    """The words of a command, with what ``$name`` stands for."""
    return [Template(word).substitute(values) for word in shlex.split(command)]


def run_here(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Ended:
    """Run a tool in this process; an error that is not one line is raised."""
    for keeper in (MessageHub, MMLogger):  # nothing of the run before
        keeper._instance_dict.clear()
    monkeypatch.setattr(sys, "argv", command)
    run = fdam.main if command[0] == "fdam" else _script(ROOT / "tools" / command[0])
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the toolkits
        try:
            code = run()
        except SystemExit as end:
            code = end.code
    out, err = capsys.readouterr()
    if isinstance(code, str):
        code, err = 1, f"{err}{code}\n"
    return Ended(code or 0, out, err)


def _script(file: Path) -> Callable[[], None]:
    def run() -> None:
        runpy.run_path(str(file), run_name="__main__")

    return run


def assert_refused(row: Bad, ended: Ended) -> None:
    """One line says what is wrong; the parser of arguments shows the usage before it.

    Only a checkpoint that does not fit has further lines: the names that differ.
    """
    assert "Traceback" not in ended.err
    assert ended.code == row.code, ended
    lines = ended.err.splitlines()
    said = [line for line in lines if line and "%|" not in line]  # progress bars
    if row.code == 2:
        assert said[0].startswith("usage: ")
        said = said[-1:]
    assert said and "error: " in said[0] and re.search(row.message, said[0]), ended.err
    assert len(said) == 1 or "does not fit the model" in said[0], ended.err
