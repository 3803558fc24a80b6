"""A script in a fork of the server behaves as one that was started (:mod:`support.warm`)."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.warm import Script


def script(folder: Path, text: str) -> Path:
    file = folder / "script.py"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('wrong')", 1, "wrong\n"),
        ("import os; os._exit(4)", 4, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
        ("import atexit, sys; atexit.register(lambda: sys.stderr.write('end'))", 0, "end"),
    ],
)
def test_ends(tmp_path: Path, text: str, code: int, said: str) -> None:
    ended = Script(script(tmp_path, text), cwd=tmp_path)
    assert ended.communicate(60) == ("", said) and ended.returncode == code


def test_errors_have_a_traceback(tmp_path: Path) -> None:
    ended = Script(script(tmp_path, "1 / 0"), cwd=tmp_path)
    assert ended.communicate(60)[1].splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert ended.returncode == 1


def test_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_TEST", "1")
    (tmp_path / "beside.py").write_text("import os, sys; print(os.environ['OF_THIS_TEST'])")
    text = "import beside, os, sys; print(os.getcwd(), sys.argv[1:], __name__, sys.stdin.read())"
    (tmp_path / "inner").mkdir()
    out, err = Script(script(tmp_path, text), "a", 2, cwd=tmp_path / "inner").communicate(60)
    assert out.splitlines() == ["1", f"{tmp_path / 'inner'} ['a', '2'] __main__ "], err


def test_random_numbers_differ(tmp_path: Path) -> None:
    text = "import random, numpy; print(random.random(), numpy.random.rand())"
    said = {Script(script(tmp_path, text), cwd=tmp_path).communicate(60)[0] for _ in range(3)}
    assert len(said) == 3


def test_several_processes(tmp_path: Path) -> None:
    text = "import os, sys; sys.exit(5 * (os.environ['RANK'] == '1' == os.environ['LOCAL_RANK']))"
    ended = Script(script(tmp_path, text), cwd=tmp_path, processes=2)
    assert ended.wait(60) == 5


def test_what_was_left_is_killed_first(tmp_path: Path) -> None:
    left = Script(script(tmp_path, "import time; time.sleep(60)"), cwd=tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        left.wait(0.01)
    assert Script(script(tmp_path, ""), cwd=tmp_path).wait(60) == 0
    assert left.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(left.pid, 0)
