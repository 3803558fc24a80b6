"""Optional packages."""

import json

import pytest

from fdam_mm.errors import FDAMError
from fdam_mm.toolkits.optional import require


def test_a_package_that_is_there() -> None:
    assert require("json", "reading it") is json


def test_what_is_not_there_is_named_with_the_way_to_it() -> None:
    expected = '^the page needs no_such_package: pip install "fdam_mm\\[page\\]"$'
    with pytest.raises(ImportError, match=expected) as raised:
        require("no_such_package", "the page", "fdam_mm[page]")
    assert isinstance(raised.value, FDAMError)  # one line in the tools
