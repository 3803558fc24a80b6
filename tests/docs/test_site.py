"""The site is built, warnings being errors, and loads nothing from elsewhere."""

import json
import re
from pathlib import Path

import pytest
from support.paths import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``make docs`` builds it."""
    pytest.importorskip("mkdocs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "tools/docs/mkdocs.yml"), site_dir=str(folder)))
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {page.stem for page in ROOT.glob("docs/*.md")} | {"index", "contributing", "changelog"}
    assert pages <= {page.stem for page in site.glob("*.html")}
    assert (site / "notebooks/quickstart.html").exists() and (site / "api/apis.html").exists()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = r"<(?:script|img|iframe|source)[^>]* src=\"([^\"]+)|<link[^>]* href=\"([^\"]+)"
        for one, other in re.findall(loaded, page.read_text()):
            assert not re.match(r"(https?:)?//", one or other), (page.name, one or other)


def test_search_finds_what_users_ask_for(site: Path) -> None:
    entries = json.loads((site / "search/search_index.json").read_text())["docs"]
    texts = {entry["location"]: entry["text"] for entry in entries}
    for word, page in {
        "load_model": "api/apis.html",
        "unpickl": "checkpoints.html",
        "is in use:": "messages.html",
        "SLURM": "train.html",
    }.items():
        found = [at for at, text in texts.items() if word.lower() in (at + text).lower()]
        assert any(at.startswith(page) for at in found), (word, found)


def test_all_messages_are_listed(site: Path) -> None:
    page = (site / "messages.html").read_text()
    assert page.count("<li>") > 400
    assert "does not exist. Prepare the data" in page


def test_docstrings_have_no_roles_left(site: Path) -> None:
    for page in site.glob("api/*.html"):
        assert not re.search(r":(func|class|mod|meth|data):<code", page.read_text()), page.name
