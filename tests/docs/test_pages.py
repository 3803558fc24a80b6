"""Every block of every page: commands parse, files are there, Python compiles and runs.

A comment above a block says what it needs to be run, ``<!-- needs: data, gpu -->``. Python without
one is run by a test of its page, or else here; commands without one are those that tests run.
"""

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.pages import NEEDS, PAGES, Block, blocks, commands
from support.tools import ROOT

from fdam_mm.cli.main import main

TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
# Pages whose Python a test runs block by block, and the test.
RUN = {
    "README.md": "tests/docs/test_readme.py",
    "analysis.md": "tests/docs/test_analysis.py",
    "backbones.md": "tests/docs/test_bring_your_own_backbone.py",
    "bring_your_own_backbone.md": "tests/docs/test_bring_your_own_backbone.py",
    "checkpoints.md": "tests/docs/test_readme.py",
    "first_result.md": "tests/docs/test_readme.py",
    "python.md": "tests/docs/test_python.py",
    "train.md": "tests/docs/test_readme.py",
}
# Of programs that are not ours.
OTHERS = {"docker", "pip", "polygraphy", "pre-commit", "pytest", "python", "trtexec"}
BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language in ("bash", "indented")]
PYTHON = [block for block in BLOCKS if block.language == "python"]


class Parsed(BaseException):
    """The command line is one; nothing of it is run."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: Any, *args: Any, **settings: Any) -> None:
        parse(self, *args, **settings)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", ["fdam"])


@pytest.mark.usefixtures("only_parsing")
@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands(block: Block) -> None:
    for command in commands(block):
        if problem := _problem(command):
            pytest.fail(f"{' '.join(command)}: {problem}")


def _problem(command: list[str]) -> str | None:
    """What is wrong with a command, None if nothing is."""
    program, *rest = command
    if program == "make":
        wanted = [word for word in rest if re.fullmatch(r"[a-z-]+", word)]
        known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        return None if set(wanted) <= set(known) else f"not all of {wanted} are targets"
    if program == "fdam":
        return _refused(main, rest)
    if program in OTHERS:
        files = [word for word in rest if re.match(r"(tests|benchmarks|tools)/", word)]
        lost = [file for file in files if not (ROOT / file).exists()]
        return f"no {lost}" if lost else None
    if not program.startswith("tools/") or not (ROOT / program).exists():
        return "neither ours nor known"
    if program.endswith(".py"):
        (module,) = re.findall(
            r"from fdam_mm\.cli\.(\w+) import main", (ROOT / program).read_text()
        )
        return _refused(importlib.import_module(f"fdam_mm.cli.{module}").main, rest)
    return _refused(main, _of_launcher(Path(program).stem, rest))


def _refused(run: Callable[[list[str]], int | None], words: list[str]) -> str | None:
    try:
        code = run(words)
    except Parsed:
        return None
    except SystemExit as error:
        code = error.code  # type: ignore[assignment]  argparse's 2
    return f"its arguments are refused ({code})"


def _of_launcher(name: str, rest: list[str]) -> list[str]:
    """What dist_train.sh and the others give to ``fdam``."""
    launcher, task = name.split("_")
    if launcher == "slurm":
        return [task, *rest[2:]]  # without partition and job
    files = 2 if task == "test" else 1
    assert rest[files].isdigit(), "the number of processes"
    return [task, *rest[:files], *rest[files + 1 :]]


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_what_cannot_run_anywhere_says_so(block: Block) -> None:
    assert block.needs <= NEEDS
    run = [" ".join(each) for each in commands(block) if each[1:2] not in (["bench"], ["flops"])]
    if any(re.search(r"configs/(?!demo/|my_)|/datasets/|\$CONFIG", command) for command in run):
        assert "data" in block.needs, "its config needs data"
    if "slurm_" in block.text:
        assert block.needs & {"gpu", "cluster"}
    if re.search(r"^pip install", block.text, re.M):
        assert "network" in block.needs


def test_every_command_shown_has_a_test() -> None:
    shown = {
        command[1] if command[0] == "fdam" else Path(command[0]).name
        for block in SHELL
        for command in commands(block)
        if command[0] == "fdam" or command[0].startswith("tools/")
    }
    untested = {name for name in shown if not re.search(rf"\b{re.escape(name)}\b", TESTS)}
    assert not untested


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fdam_mm"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
    if not (block.page.name in RUN or block.needs or _is_config(tree)):
        monkeypatch.chdir(tmp_path)
        exec(compile(tree, str(block.page), "exec"), {"__name__": "page"})


def _is_config(tree: ast.Module) -> bool:
    """Settings alone, without a call that does something."""
    return all(isinstance(node, ast.Assign) for node in tree.body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"(?<![\w/.<])((?:configs|benchmarks|tests|fdam_mm)/[\w./-]*\w/?)", text)
    lost = [path for path in named if not [*ROOT.glob(f"{path.rstrip('/')}*")]]
    assert not [path for path in lost if not re.search(r"[A-Z]{4}|my_", path)]


@pytest.mark.parametrize("name", RUN.values())
def test_the_tests_are_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_troubleshooting_quotes_the_code() -> None:
    """Every message that the page quotes is one, between its dots."""
    sources = [*ROOT.glob("fdam_mm/**/*.py"), *ROOT.glob("tools/*.sh")]
    said = _plain("\n".join(_texts(source) for source in sources))
    page = (ROOT / "docs/troubleshooting.md").read_text()
    entries = re.findall(r"^- (.*?)(?=\n- |\n\n)", page, re.M | re.S)
    quoted = [quote for entry in entries for quote in re.findall(r"`([^`]*…[^`]*)`", entry)]
    assert len(quoted) > 60
    parts = {part.strip(" ,.;:") for quote in quoted for part in _plain(quote).split("…")}
    assert not sorted(part for part in parts if len(part) > 8 and part not in said)


def _texts(source: Path) -> str:
    """The texts in a file; those of an f-string are one, with its values left out."""
    if source.suffix == ".sh":
        return source.read_text()
    kinds = (ast.Constant, ast.JoinedStr)
    nodes = [n for n in ast.walk(ast.parse(source.read_text())) if isinstance(n, kinds)]
    return "\n".join(map(_text, nodes))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    return "…"


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)
