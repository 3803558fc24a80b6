"""The files of an analysis."""

from pathlib import Path

from fdam_mm.files import write_atomically

from .figures import Measured, all_views, by_layer
from .page import analysis_page
from .tables import layers_csv, profiles_csv


def write_analysis(measured: Measured, folder: Path, pictures: int) -> None:
    """Write ``analysis.html``, figures as SVG and PNG, and two CSV files.

    Args:
        measured: Each model's layers by the model's name.
        folder: Made if it is not there.
        pictures: How many were measured.
    """
    views, raster = all_views(measured)
    write_atomically(folder / "maps_and_spectra.svg", views)
    write_atomically(folder / "maps_and_spectra.png", raster)
    for title, chart in by_layer(measured).items():
        write_atomically(
            folder / f"{title.lower().replace(' ', '_').replace('-', '_')}.svg", chart
        )
    write_atomically(folder / "layers.csv", layers_csv(measured))
    write_atomically(folder / "profiles.csv", profiles_csv(measured))
    write_atomically(folder / "analysis.html", analysis_page(measured, pictures))
