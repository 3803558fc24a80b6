"""Blocks of the documentation, and what stands above them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
]
NEEDS = {"data", "gpu", "network", "cluster"}


class Block(NamedTuple):
    """A fenced block, or an indented one of commands."""

    page: Path
    language: str  # "indented" if it has no fence
    text: str
    needs: frozenset[str]  # of the comment above: <!-- needs: data, gpu -->

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.strip().splitlines()[0][:60]}"


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page, in order."""
    fence = re.compile(r"(?:<!-- needs: ([\w, ]+) -->\n)?^( *)```(\w*)\n(.*?)^\2```", re.M | re.S)
    for needs, indent, language, text in fence.findall(page.read_text()):
        marks = frozenset(re.split(r", *", needs)) if needs else frozenset()
        yield Block(page, language, re.sub(f"^{indent}", "", text, flags=re.M), marks)
    without = fence.sub("", page.read_text())
    for text in re.findall(
        r"\n\n((?: {4}(?:fdam |tools/)(?!.*: error: )[^\n]*\n(?: {4}[^\n]*\n)*)+)", without
    ):
        yield Block(page, "indented", re.sub(r"^ {4}", "", text, flags=re.M), frozenset())


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a shell block, without the settings before it."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(re.sub(r"\[(?=--)|(?<=\w)\](?= |$)", "", line), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words[:1] == ["python"] and words[1].startswith("tools/"):
            words = words[1:]
        if words:
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]
