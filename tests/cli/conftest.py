"""What bad inputs are made of: a drawn set, and what is damaged of data, configs, checkpoints."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config
from support.bad_files import write_bad_files
from support.bad_inputs import Bad, assert_refused, run_here, words
from support.quick_start import start_quickly
from support.tools import ROOT, TINY


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of :func:`support.bad_files.write_bad_files`; tests leave it as it is."""
    return write_bad_files(tmp_path_factory.mktemp("bad_files"))


@pytest.fixture
def refuses(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[[Bad], None]:
    """Runs a row in an empty folder and sees that it is refused, see :mod:`support.bad_inputs`."""
    monkeypatch.chdir(tmp_path)
    demo = ROOT / "configs/demo"
    values = dict(tiny=TINY, files=files, demo=demo, picture=files / "picture.jpg")
    values["dota"] = demo / "fdam-oriented-rcnn_lsknet_demo.py"

    def run(row: Bad) -> None:
        ended = run_here(words(row.command, **values), monkeypatch, capsys)
        assert_refused(row._replace(message=row.message.replace("$files", str(files))), ended)

    return run


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """See :func:`support.quick_start.start_quickly`; nobody reads the configs here."""
    start_quickly(monkeypatch)
    monkeypatch.setattr(Config, "pretty_text", "")
