"""MkDocs hooks: pages that lie outside docs/, notebooks as pages, and links to the code."""

import json
import re
from pathlib import Path
from typing import Any

from messages import messages_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def on_config(config: MkDocsConfig) -> None:
    """A page without a place in ``nav`` stands at the end of its Details."""
    named = json.dumps(config.nav)
    details = next(part["Details"] for part in config.nav if "Details" in part)
    pages = sorted(page.name for page in (ROOT / "docs").glob("*.md"))
    details += [page for page in pages if f'"{page}"' not in named]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what MkDocs does not find below docs/ as Markdown."""
    for name, page in OUTSIDE.items():
        text = from_docs((ROOT / name).read_text())
        if page == "index.md":
            text = f"---\nhide: [navigation]\n---\n\n{text}"
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "messages.md", content=messages_page()))
    for notebook in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        page = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, page, content=as_page(notebook)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links that leave docs/, as GitHub follows them: to pages of the site, or to its API."""
    for name, page in OUTSIDE.items():
        markdown = markdown.replace(f"](../{name}", f"]({page}")
    markdown = re.sub(r"(\]\([\w./]*)\.ipynb\)", r"\1.md)", markdown)
    return re.sub(r"\]\(\.\./(fdam_mm/[\w/]+)\.py\)", _to_module, markdown)


def _to_module(link: re.Match[str]) -> str:
    return f"][{link[1].replace('/', '.')}]"


def from_docs(text: str) -> str:
    """A text of the top folder as it stands in docs/."""
    for name, page in OUTSIDE.items():
        text = text.replace(f"]({name}", f"]({page}")
    text = re.sub(r"\[([^\]]+)\]\((?:configs/[^)]*|CITATION\.cff)\)", r"\1", text)
    return text.replace("](docs/", "](")


def as_page(notebook: Path) -> str:
    """The cells of a notebook, without outputs."""
    cells = json.loads(notebook.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    kinds = [cell["cell_type"] for cell in cells]
    parts = [
        text if kind == "markdown" else f"```python\n{text}\n```"
        for kind, text in zip(kinds, texts, strict=True)
    ]
    where = f"*This page is a notebook, `docs/notebooks/{notebook.name}`.*"
    return "\n\n".join([parts[0], where, *parts[1:]]) + "\n"
