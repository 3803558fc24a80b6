"""The model families that :func:`fdam_mm.apply_fdam` knows, by the library they come from."""

from . import timm  # noqa: F401
