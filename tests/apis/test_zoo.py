"""The list of shipped models is that of the shipped configs."""

import pytest
from support.tools import ROOT

from fdam_mm.apis import list_models
from fdam_mm.cli.models import main
from fdam_mm.errors import UsageError

NOT_LISTED = ("_base_", "demo")  # parts of others, and models to try things on


def test_every_config_is_listed_once() -> None:
    files = sorted(
        file.resolve()
        for file in (ROOT / "configs").glob("*/*.py")
        if file.parent.name not in NOT_LISTED
    )
    models = list_models()
    assert sorted(model.config.resolve() for model in models) == files
    assert all(model.name == model.config.stem for model in models)
    assert all(model.fdam == model.name.startswith("fdam-") for model in models)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("nat", {"nat-t", "dinat-t", "fdam-nat-t", "fdam-dinat-t"}),
        ("NAT-*", {"nat-t"}),
        ("cityscapes", {"segformer", "fdam-segformer"}),
    ],
)
def test_patterns(pattern: str, names: set[str]) -> None:
    assert {model.name.partition("_")[0] for model in list_models(pattern)} == names


def test_figures_are_said_to_be_the_papers(capsys: pytest.CaptureFixture) -> None:
    main(["*segformer_mit-b0*ade20k*"])
    plain, fdam, *_, last = capsys.readouterr().out.splitlines()
    assert plain.endswith("ADE20K      mIoU 37.4") and fdam.endswith("mIoU 39.8")
    assert "FDAM's authors report" in last
    main(["nat"])
    assert "authors" not in capsys.readouterr().out


def test_nothing_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDAM_DEBUG", "1")
    with pytest.raises(UsageError, match="no model matches 'yolo'"):
        main(["yolo"])
