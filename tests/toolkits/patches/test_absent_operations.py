"""What stands in for mmcv's operations; tests/toolkits/test_without_operations.py uses it."""

import sys
from importlib.util import find_spec

import pytest
from mmcv.utils import ext_loader

from fdam_mm.errors import OperationError
from fdam_mm.toolkits import operations
from fdam_mm.toolkits.patches import absent_operations
from fdam_mm.toolkits.patches.absent_operations import StandIn


def test_upstream_loads_operations_when_it_is_imported() -> None:
    with pytest.raises(ModuleNotFoundError):
        ext_loader.load_ext("_no_such_library", ["nms"])


def test_each_operation_says_why_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mmcv._ext", StandIn("mmcv's library is broken"))
    library = ext_loader.load_ext("_ext", ["nms", "softnms"])
    with pytest.raises(OperationError, match=r"operation nms is called, and mmcv's library is br"):
        library.nms(1, offset=0)
    assert find_spec("mmcv._ext").origin is None
    assert operations.why_missing("cpu") == "mmcv's library is broken"
    assert not operations.has_kernels()
    with pytest.raises(ImportError, match="broken"):
        operations.compiled_for()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModuleNotFoundError("No", name="mmcv._ext"), "mmcv is installed without its compiled"),
        (ImportError("_ext.so: undefined symbol: x\nmore"), "cannot be loaded (_ext.so: undefi"),
    ],
)
def test_reasons(error: ImportError, reason: str) -> None:
    assert reason in absent_operations._reason(error)
