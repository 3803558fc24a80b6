"""The fdam command: it lists, finds and runs its subcommands."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.tools import TINY

from fdam_mm.apis import load_model, predict
from fdam_mm.cli.main import COMMANDS, Command, Commands, main
from fdam_mm.data.own import inspect


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | None:
    monkeypatch.setattr(sys, "argv", ["fdam", *map(str, arguments)])
    return main()


def names(commands: Commands, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, chosen in commands.items():
        path = (*before, name)
        found += [path] if isinstance(chosen, Command) else names(chosen, path)
    return found


@pytest.mark.parametrize("path", names(COMMANDS), ids=" ".join)
def test_help_shows_an_example(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *path, "--help")
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "example" in out and out.count(f"fdam {' '.join(path)}") >= 2  # usage and example


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_list(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch, *arguments) is None
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_an_unknown_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch, "predikt") == 2
    assert "no command 'predikt'" in capsys.readouterr().err


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    run(monkeypatch, "info")
    out = capsys.readouterr().out
    assert torch.__version__ in out and "mmcv operations" in out and "extra [geo]" in out


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("checkpoint") / "untrained.pth"
    torch.save(dict(state_dict=load_model(TINY, device="cpu").state_dict()), file)
    return file


def test_predict(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "predict", TINY, "a.png", "--checkpoint", checkpoint, "--out", out, "--draw")
    (expected,) = predict(load_model(TINY, checkpoint, "cpu"), picture, progress=False)
    np.testing.assert_array_equal(np.array(Image.open(out / "a.png")), expected.labels + 1)
    assert (out / "a.jpg").is_file()
    labels = ["--labels", "masks", "--checkpoint", checkpoint]
    run(monkeypatch, "predict", TINY, "a.png", *labels, "--out", "labelled")
    found = inspect(tmp_path / "labelled", check=False)
    assert (found.task, found.problems) == ("semantic", ())
    got = found.labelled.read(found.labelled.pictures[0]).labels
    np.testing.assert_array_equal(got, expected.labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tiny}", "a.png", "--out", "new"], "is no work folder: name a checkpoint"),
        (["{tiny}", "a.png", "--checkpoint", "{file}", "--out", "full"], "not empty"),
        (["{tiny}", "no.png", "--checkpoint", "{file}", "--out", "new"], "no.png: no such"),
        (["{tiny}", "a.png", "--checkpoint", "no.pth", "--out", "new"], "no.pth does not exist"),
    ],
)
def test_predict_says_what_is_wrong(
    arguments: list[str],
    message: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", np.zeros((8, 8, 3), np.uint8))
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    filled = [text.format(tiny=TINY, file=checkpoint) for text in arguments]
    with pytest.raises(SystemExit, match=f"fdam predict: error: .*{message}"):
        run(monkeypatch, "predict", *filled)
    assert not Path("new").exists()
