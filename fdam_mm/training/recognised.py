"""Which errors are of a setting, and which of code: the first are one line for a user.

An error while a config is read or built is a setting's if

- only code of this package, of the toolkits and of what they stand on took part, none of a user's
  own: a data set of theirs, a module of ``custom_imports``. The text of the config itself, outside
  functions, is no code in this sense;
- and it is no fault of ours: within this package only what a ``raise`` says counts.

All else keeps its traceback.
"""

import dis
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import yaml

_OURS = str(Path(__file__).resolve().parents[1])
_TOOLS = str(Path(__file__).resolve().parents[2] / "tools")
_FOUNDATIONS = (
    *("mmengine", "mmcv", "mmseg", "mmdet", "mmrotate"),
    *(
        "timm",
        "torch",
        "torchvision",
        "numpy",
        "cv2",
        "PIL",
        "pycocotools",
        "addict",
        "yapf",
        "yaml",
    ),
)
_OF_SETTINGS = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError, yaml.YAMLError),
)


def is_of_a_setting(error: Exception) -> bool:
    """See the module; for an error that was caught while a config was read or built."""
    if not isinstance(error, _OF_SETTINGS):
        return False
    if any(_is_foreign(frame) for one in chain(error) for frame, _ in frames_of(one)):
        return False
    *_, (frame, last) = frames_of(error)
    return not is_ours(frame) or is_raise(frame, last)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those in whose handling it arose."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def frames_of(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Frames of a traceback, each with the index of its last instruction; the outermost first."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame, step.tb_lasti
        step = step.tb_next


def is_config_text(frame: FrameType) -> bool:
    """Whether it runs a config file, which mmengine executes without a module around it."""
    return "__name__" not in frame.f_globals


def is_raise(frame: FrameType, last: int) -> bool:
    """Whether the error was raised on purpose, by a statement."""
    return frame.f_code.co_code[last] == dis.opmap["RAISE_VARARGS"]


def is_ours(frame: FrameType) -> bool:
    """Whether it runs code of this package."""
    return _is_in(frame, _OURS)


def is_of_the_machinery(frame: FrameType) -> bool:
    """Whether it is mmengine's or ours: places that tell a user nothing."""
    return _is_in(frame, _OURS, *_folders("mmengine"))


def _is_foreign(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    if file.startswith("<") or file.endswith(".pyx") or is_config_text(frame):
        return False  # importlib's, a dataclass's, compiled code's
    if "site-packages" in file or "dist-packages" in file:
        return not _is_in(frame, *(root for name in _FOUNDATIONS for root in _folders(name)))
    return not _is_in(frame, _OURS, _TOOLS, sysconfig.get_path("stdlib"))


def _is_in(frame: FrameType, *folders: str) -> bool:
    return frame.f_code.co_filename.startswith(tuple(f"{folder}/" for folder in folders))


@cache
def _folders(package: str) -> tuple[str, ...]:
    spec = find_spec(package)
    return tuple(spec.submodule_search_locations or ()) if spec else ()
