"""What the toolkits always print is dropped; what a user prints is not."""

# ruff: noqa: T201  printing is what is tested

import pytest

from fdam_mm.toolkits.quiet import quiet


def test_known_lines_alone_are_dropped(capsys: pytest.CaptureFixture) -> None:
    with quiet():
        print("Could not import OneDL. Skipping OneDL datasets.")
        print("mine", end=" ")
        print("and mine")
        print("Done (t=0.1s)")
        print("no end", end="")
    print("\nafterwards")
    assert capsys.readouterr().out == "mine and mine\nno end\nafterwards\n"
