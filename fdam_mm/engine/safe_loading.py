"""Make mmengine's own checkpoint loading refuse what ours refuses."""

from typing import Any

from mmengine.runner import CheckpointLoader

from fdam_mm.checkpoints import load


def load_toolkit_checkpoints_safely(allow_pickle: bool = False) -> None:
    """Let the toolkits' ``init_cfg`` and runners read files and addresses through our loader.

    mmengine unpickles what it cannot read otherwise; this raises instead, see
    :func:`fdam_mm.checkpoints.load`. It holds for the whole process: for the tools, which own it.
    """

    def load_from_safely(filename: str, map_location: Any = None) -> dict[str, Any]:
        return load(filename, allow_pickle)

    prefixes = ["", "http://", "https://"]
    CheckpointLoader.register_scheme(prefixes, loader=load_from_safely, force=True)
