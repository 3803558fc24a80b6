"""Which models the page of ``fdam demo`` has."""

from pathlib import Path

import pytest

from fdam_mm.demo.models import Served
from fdam_mm.demo.sources import demo_trainings, exported_models, open_models, paired, twin_of
from fdam_mm.errors import MissingFileError, UsageError


def test_models_have_the_names_of_their_configs(models: dict[str, Served]) -> None:
    assert list(models) == ["tiny", "fdam-tiny"]


def test_two_of_one_name(words: list[str]) -> None:
    assert list(open_models(words[:2] * 2, "cpu")) == ["tiny", "tiny (2)"]


def test_a_config_has_its_checkpoint_behind_it(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert paired([folder, "a.py", "a.pth", folder]) == [
        (folder, None),
        ("a.py", "a.pth"),
        (folder, None),
    ]
    with pytest.raises(UsageError, match="a.py is a config; expected its checkpoint behind it"):
        paired(["a.py", folder])
    with pytest.raises(UsageError, match="b.pth is a checkpoint; expected its config before it"):
        paired(["a.py", "a.pth", "b.pth"])
    with pytest.raises(MissingFileError, match="model nowhere does not exist"):
        paired(["nowhere"])


def test_without_any(tmp_path: Path) -> None:
    (tmp_path / "1/train").mkdir(parents=True)  # interrupted
    with pytest.raises(MissingFileError, match="make demo leaves one there"):
        open_models([], demos=tmp_path)


def test_the_newest_training_of_each_config(tmp_path: Path) -> None:
    for time, name in (("1", "fdam-vit"), ("2", "vit"), ("3", "fdam-vit")):
        folder = tmp_path / time / "train"
        folder.mkdir(parents=True)
        (folder / f"{name}.py").touch()
        (folder / "iter_6.pth").touch()
    assert [file.parent.name for file in demo_trainings(tmp_path)] == ["3", "2"]


def test_folders_that_hold_no_export(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert exported_models(tmp_path) == []


def test_twins() -> None:
    names = ["a", "fdam-a", "b"]
    assert (twin_of("a", names), twin_of("fdam-a", names)) == ("fdam-a", "a")
    assert twin_of("b", names) is None and twin_of("a", ["a", "c"]) == "c"
