"""XML files, which are data alone."""

from pathlib import Path

import pytest

from fdam_mm.data.formats.xml_tree import read_xml
from fdam_mm.errors import LabelError

LAUGHS = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "ha"}">' for i in range(12))


def test_tree(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text("<?xml version='1.0'?><!DOCTYPE a><a><b>1</b><b> ä </b></a>", "utf-8")
    assert [entry.text for entry in read_xml(file).findall("b")] == ["1", " ä "]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"<!DOCTYPE a [{LAUGHS}]><a>&e11;</a>", "it declares entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', "it declares enti"),
        ("<a>", "no element found"),
        ("", "no element found"),
        ("<a>&x;</a>", "undefined entity"),
        ("<a>" * 200_000, "no element found"),
        ("\x00\x01", "not well-formed"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.xml"
    file.write_text(text)
    with pytest.raises(LabelError, match=f"a.xml: unreadable .{message}.*expected an XML"):
        read_xml(file)


def test_deep(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text("<a>" * 200_000 + "</a>" * 200_000)
    assert read_xml(file).find("b") is None
