"""Loading labels that mmdet's own steps drop."""

from .instances import LoadInstances

__all__ = ["LoadInstances"]
