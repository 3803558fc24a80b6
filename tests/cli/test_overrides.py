"""KEY=VALUE of --cfg-options: every value arrives as it was meant."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdam_mm.cli.arguments import add_config_arguments, parser
from fdam_mm.cli.overrides import parse_override, parse_value
from fdam_mm.errors import UsageError
from fdam_mm.training.config import read_config

DEMO = "configs/demo/fdam-vit_demo.py"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/x/a b/c", "/x/a b/c"),
        ("  two  spaces ", "  two  spaces "),
        ("", ""),
        ("3", 3),
        ("-2", -2),
        ("+5", 5),
        ("1e-3", 1e-3),
        ("-1E5", -1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("inf", math.inf),
        ("2024_01_02", "2024_01_02"),
        ("0x10", "0x10"),
        ("1-2", "1-2"),
        ("３", "３"),
        ("True", True),
        ("false", False),
        ("None", None),
        ("none", "none"),
        ("Nonesuch", "Nonesuch"),
        ("a=b", "a=b"),
        ("-x", "-x"),
        ("--x", "--x"),
        ("it's", "it's"),
        ("größe/日本", "größe/日本"),
        ("a(1", "a(1"),
        ("[a]/b", "[a]/b"),
        ("'a, b'", "a, b"),
        ('"True"', "True"),
        ('"3"', "3"),
        (r'"\d+"', r"\d+"),
        ("'it\\'s'", "it's"),
        ("a,b", ["a", "b"]),
        ("1,2,", [1, 2]),
        ("[a,b]", ["a", "b"]),
        ("[a b, c d]", ["a b", "c d"]),
        ("[(a,b),(c,d)]", [("a", "b"), ("c", "d")]),
        ("[(1, 2), [x, 'y, z'], w]", [(1, 2), ["x", "y, z"], "w"]),
        ("[2,5,8,11]", [2, 5, 8, 11]),
        ("[]", []),
        ("()", ()),
        ("(1)", (1,)),
        ("(disc,)", ("disc",)),
        ("('disc')", ("disc",)),
        ("dict(att_inv=True)", {"att_inv": True}),
        ("dict(type=LN, eps=1e-6)", {"type": "LN", "eps": 1e-6}),
        ("dict(a=dict(b=[1, (2,)]), c='x=y')", {"a": {"b": [1, (2,)]}, "c": "x=y"}),
        ('{"a b": True, "c": {"d": None}}', {"a b": True, "c": {"d": None}}),
        ("{a: 1, 2: b}", {"a": 1, 2: "b"}),
        ("dict()", {}),
        ("{}", {}),
        ("dictionary", "dictionary"),
        ("__import__('os').getcwd()", "__import__('os').getcwd()"),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    found = parse_value(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["[1,2", "1,2]", "(]", "a(,b", "{1,2}", "dict(a)", "[" * 5000])
def test_values_that_are_none(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse_value(text + "]" * 5000 if text == "[" * 5000 else text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/x/a b/c", "/x/a b/c"),
        ("/x/a,b", "/x/a,b"),
        ("2024", "2024"),
        ("True", "True"),
        ("'a, \"b'", 'a, "b'),
        ("[x]/(y", "[x]/(y"),
        ("None", None),
        ("", ""),
        ("[a, b]", ["a", "b"]),
    ],
)
def test_paths_are_taken_as_they_are(text: str, value: Any) -> None:
    for key in ("data_root", "train_dataloader.dataset.ann_file"):
        assert parse_override(f"{key}={text}") == (key, value)
    assert parse_override("default_hooks.checkpoint=dict(interval=3)")[1] == {"interval": 3}


_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_NESTED = st.recursive(
    _PLAIN,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(_NESTED)
def test_what_python_writes_is_read_back(value: Any) -> None:
    assert parse_value(repr(value)) == value
    assert parse_override(f"data_root={value!r}")[1] == value or isinstance(
        value, bool | float | int
    )


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1 ,()[]{}'\"=:\\-.\n"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_value(text)
    except ValueError as error:
        assert "\n" not in str(error)


def _options(*texts: str) -> dict[str, Any]:
    arguments = parser("", "")
    add_config_arguments(arguments)
    return arguments.parse_args([DEMO, "--cfg-options", *texts]).cfg_options


def test_dicts_reach_the_config() -> None:
    config = read_config(
        "configs/demo/vit_demo.py", _options("model.backbone.fdam=dict(att_inv=True)")
    )
    assert config.model.backbone.fdam == dict(att_inv=True)
    assert config.model.backbone.fdam.att_inv is True
    options = _options(
        'model.backbone.fdam={"freq_scale": {"k": 3}}', "model.backbone.fdam.att_inv=False"
    )
    config = read_config(DEMO, options)  # it has both as True
    assert config.model.backbone.fdam == dict(att_inv=False, freq_scale=dict(k=3))
    assert options["model.backbone.fdam"] == {"freq_scale": {"k": 3}}  # as it was
    config = read_config(DEMO, _options("model.backbone.fdam=dict(_delete_=True,att_inv=True)"))
    assert config.model.backbone.fdam == dict(att_inv=True)


def test_lists_are_indexed() -> None:
    config = read_config(
        DEMO, _options("test_dataloader.dataset.pipeline.0.type=X", "custom_hooks=[dict(type=A)]",
                       "custom_hooks.0.b.c=2")
    )  # fmt: skip
    assert config.test_dataloader.dataset.pipeline[0].type == "X"
    assert config.custom_hooks[0].b.c == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("test_dataloader.dataset.pipeline.99.type=X", "is a list of 3, '99' is no index"),
        ("test_dataloader.dataset.pipeline.x=X", "'x' is no index"),
        ("test_dataloader.dataset.pipeline.-1.type=X", "'-1' is no index"),
        ("model.backbone.fdam.att_inv.k=1", "fdam.att_inv is True, which has no k; set it whole"),
        ("data_root=None", "data_root: expected a folder, found None"),
        ("data_root=[a]", "data_root: expected a folder"),
    ],
)
def test_keys_that_name_nothing(option: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        read_config(DEMO, _options(option))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("foo", "takes KEY=VALUE, found 'foo'; other arguments go before"),
        ("=3", "expected KEY=VALUE, found '=3'"),
        ("a..b=3", "expected KEY=VALUE"),
        ("a=[1,2", "--cfg-options a: the brackets of '[1,2' do not match; quote it"),
        ("a=dict(b)", "'b' in a dict, expected KEY=VALUE"),
        ("a=" + "[" * 5000 + "]" * 5000, "recursion"),
    ],
)
def test_what_is_no_option(option: str, message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        _options(option)
    assert end.value.code == 2 and message in capsys.readouterr().err
