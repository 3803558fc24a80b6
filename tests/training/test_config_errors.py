"""Errors while a config is read and built: one line for a setting's, a traceback for code's."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from fdam_mm.apis.building import build_model
from fdam_mm.errors import ConfigError
from fdam_mm.models.backbones import vit
from fdam_mm.training.config import read_config
from fdam_mm.training.optimizers import require_optimizer


def _fails(**backbone: Any) -> str:
    with pytest.raises(ConfigError) as error:
        _build(dict(type="EncoderDecoder", backbone=backbone, decode_head=dict(type="FCNHead")))
    return str(error.value)


def _build(model: Any) -> None:
    build_model(Config(dict(default_scope="mmseg", model=model)))


def test_the_key_and_a_remedy_are_named() -> None:
    vit = dict(type="FDAMVisionTransformer")
    assert (
        "model.backbone.embed_dim is 3: FDAMVisionTransformer has no argument 'embed_dim'; near "
        "it: embed_dims"
    ) in _fails(**vit, embed_dim=3)
    norm = dict(type="ViTPyramid", embed_dim=3)
    assert (
        "model.backbone.embed_dim: ViTPyramid got an unexpected keyword argument 'embed_dim'; did "
        "you mean embed_dims?"
    ) in _fails(**norm)
    assert "model.backbone.num_heads is 0: num_heads is 0, expected" in _fails(**vit, num_heads=0)
    assert "did you mean FDAMVisionTransformer" in _fails(type="FDAMVisionTransfomer")


def test_faults_of_ours_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vit, "linear_ramp", None)
    with pytest.raises(TypeError, match="^'NoneType' object is not callable"):
        _build(dict(type="FDAMVisionTransformer", num_layers=1, out_indices=0))


@pytest.mark.parametrize(
    "text", ["raise ValueError('theirs')", "{}['x']", "assert False", "1 / 0"]
)
def test_code_of_users_keeps_its_traceback(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_code.py").write_text(
        f"def build(**_):\n    {text}\n\ndef read(**_):\n    import mmengine\n"
        "    mmengine.load('nowhere.json')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("users_code", None)
    import users_code

    for function in (users_code.build, users_code.read):  # an error in a toolkit, called by them
        with pytest.raises(Exception) as error:  # noqa: PT011
            _build(dict(type=function))
        assert not isinstance(error.value, ConfigError)
    (tmp_path / "users_broken.py").write_text(f"{text}\n")
    (tmp_path / "config.py").write_text("custom_imports = dict(imports=['users_broken'])\n")
    with pytest.raises(Exception) as error:  # noqa: PT011
        read_config(str(tmp_path / "config.py"), {})
    assert not isinstance(error.value, ConfigError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = b", r"NameError: name 'b' is not defined \(.*config.py:1\)"),
        ("a = (", "SyntaxError: '.' was never closed"),
        ("a = 1 / 0", r"ZeroDivisionError: division by zero \(.*config.py:1\)"),
        ("_base_ = 'nowhere.py'", "nowhere.py"),
        ("_base_ = ['mmseg::_base_/nowhere.py']", "nowhere.py"),
        ("custom_imports = dict(imports=['no_such_module'])", "No module named 'no_such_module'"),
        ("custom_imports = 3", "custom_imports|TypeError"),
        ("a = [int(i) for i in 'x']", r"ValueError: invalid literal .* \(.*config.py:1\)"),
        ("note = '{{ nothing'", None),
    ],
)
def test_texts_of_configs(text: str, message: str | None, tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(text)
    if message is None:
        assert read_config(str(file), {}).note == "{{ nothing"
        return
    with pytest.raises(ConfigError, match=message) as error:
        read_config(str(file), {})
    assert str(error.value).startswith(f"config {file}: ") and "\n" not in str(error.value)
    assert "check_data" not in str(error.value)


@pytest.mark.parametrize(
    ("wrapper", "message"),
    [
        (dict(optimizer=dict(type="AdmW")), "optimizer.type is 'AdmW', .* mean AdamW"),
        (dict(optimizer=None), "optimizer is None, expected a dict"),
        (dict(optimizer=dict(lr=1)), "expected a dict such as"),
        (dict(a=dict(optimizer=dict(type="X"))), r"optim_wrapper\.a\.optimizer\.type is 'X'"),
    ],
)
def test_optimizers(wrapper: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_optimizer(wrapper)
