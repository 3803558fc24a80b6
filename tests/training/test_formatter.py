"""The import of yapf while another process writes its cache."""

import sys
from pathlib import Path

import pytest

from fdam_mm.errors import UsageError
from fdam_mm.training import formatter

UNFINISHED = """
from pathlib import Path
file = Path(__file__).with_name("imports")
file.write_text(file.read_text() + "." if file.exists() else ".")
if len(file.read_text()) <= {failures}:
    raise EOFError("Ran out of input")
"""


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a dot for each import of a yapf, which is yet to be written."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "yapf"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "yapf", None)  # so that it is put back as it was
    del sys.modules["yapf"]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(formatter, "_PAUSE", 0)
    (tmp_path / "yapf").mkdir()
    return tmp_path / "yapf/imports"


def write_yapf(imports: Path, failures: int) -> None:
    imports.with_name("__init__.py").write_text(UNFINISHED.format(failures=failures))


def test_a_cache_that_is_being_written_is_read_again(imports):
    write_yapf(imports, 2)
    formatter.import_formatter()
    assert imports.read_text() == "..."
    assert sys.modules["yapf"].__file__ == str(imports.with_name("__init__.py"))


def test_a_cache_that_remains_broken_is_named(imports):
    write_yapf(imports, 1000)
    with pytest.raises(UsageError, match="Ran out of input.*remove the folder YAPF"):
        formatter.import_formatter()
