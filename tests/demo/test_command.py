"""``fdam demo``."""

import re
import time
from pathlib import Path

import pytest

from fdam_mm.cli.demo import main


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # those of the tests stay


def test_from_start_to_end(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("gradio", reason="no gradio: pip install fdam_mm[demo]")
    sleep = time.sleep

    def interrupt(seconds: float) -> None:
        if seconds == 1:
            raise KeyboardInterrupt
        sleep(seconds)

    monkeypatch.setattr("time.sleep", interrupt)
    assert main([*words, "--device", "cpu", "--port", "0"]) is None
    assert re.search(r"^tiny, fdam-tiny: http://127\.0\.0\.1:\d+/", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "work_dirs/demo holds no training; make demo leaves one"),
        (["nowhere"], "model nowhere does not exist"),
        (["--port", "70000"], "--port is 70000, expected a number from 0 to 65535"),
        (["--host", "nowhere.invalid"], "no port of nowhere.invalid from 7860 to 7959 cannot"),
    ],
)
def test_errors(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gradio", reason="no gradio: pip install fdam_mm[demo]")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        main(arguments)
