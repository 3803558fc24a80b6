"""Everything of ours for OpenMMLab: importing this registers it in mmengine's root registry.

Models, runner, hooks, optimizer constructor, metrics, transforms and visualizers, for configs::

    custom_imports = dict(imports=["fdam_mm.openmmlab"], allow_failed_imports=False)

It also patches the toolkits, see :mod:`fdam_mm.toolkits.patches`. What needs
mmdet or timm is left out where these are not installed, and with a warning where they are broken.
"""

from . import models, training  # noqa: F401
from .data import loading  # noqa: F401
from .oriented import merged_metric, results  # noqa: F401
from .toolkits.optional import importable

if importable("mmdet.models"):
    from . import panoptic  # noqa: F401
    from .test_time import boxes  # noqa: F401
    from .visualization import panels, rotated_visualizer  # noqa: F401
if importable("mmseg.structures"):
    from .test_time import segmentation  # noqa: F401
