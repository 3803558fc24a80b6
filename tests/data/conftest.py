from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def toolkit_splitter() -> ModuleType:
    """mmrotate's splitter, a script that comes with the package."""
    mmrotate = pytest.importorskip("mmrotate")
    file = Path(mmrotate.__file__).parent / ".mim/tools/data/dota/split/img_split.py"
    if not file.is_file():
        pytest.skip("this mmrotate comes without its splitter")
    spec = spec_from_file_location("img_split", file)
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1)  # undoes that it lifts the limit
        spec.loader.exec_module(module)
    return module
