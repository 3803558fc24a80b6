"""Loading what the toolkits' own data sets and steps do not: unlabelled pictures, some labels."""

from fdam_mm.toolkits.optional import importable

from .raster import LoadRaster
from .unlabelled import UnlabelledPictures

__all__ = ["LoadRaster", "UnlabelledPictures"]

if importable("mmdet.datasets"):
    from .instances import LoadInstances

    __all__ += ["LoadInstances"]
