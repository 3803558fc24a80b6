"""The page: what it shows, and what its button does."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fdam_mm.errors import FDAMError, UsageError
from fdam_mm.report.markup import Markup, element, join, legend

from .models import Served
from .sources import twin_of
from .spectra import spectra_of
from .trying import Side, try_models
from .uploads import read_upload

PICTURE = "the picture itself"
TILES = ("none", "128", "256", "512", "1024")
QUEUE = 16  # users who may wait
TOGETHER = 4  # of them that are served at a time
_KEPT = 1800  # seconds, of uploads and drawings
_HEAD = """## Try a model on a picture
What you send stays on the machine that serves this page, for half an hour at most."""
STYLE = """
.gradio-container { max-width: 1240px !important; margin: 0 auto; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 5px; vertical-align: -1px; }
.entry { display: inline-block; margin-right: 14px; }
.soft { opacity: .75; font-size: 13px; }
.error { border-left: 4px solid #d1242f; padding: 8px 12px; overflow-wrap: anywhere; }
.spectra svg { width: 100%; height: auto; }
.spectra { background: white; color: #1f2328; border-radius: 6px; padding: 8px;
  display: flex; flex-wrap: wrap; gap: 12px; align-items: center; }
.spectra .words { flex: 1 1 260px; } .ratio { flex: 1 1 300px; max-width: 560px; }
.layers { flex: 1 1 100%; overflow-x: auto; max-width: calc(100vw - 110px); }
.layers svg { min-width: 620px; }
"""
_log = logging.getLogger(__name__)


def build_page(models: Mapping[str, Served]) -> Any:
    """The page as gradio's ``Blocks``.

    Args:
        models: By their names, in the order of the list.
    """
    import gradio as gr  # the extra [demo]

    from .picture_input import picture_input

    names = list(models)
    first = next((name for name in names if name.startswith("fdam-")), names[0])
    title = "fdam_mm: try a model"
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(60, _KEPT)) as page:
        gr.Markdown(_HEAD)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                picture = picture_input(
                    label="Picture", sources=["upload", "webcam", "clipboard"],
                    webcam_options=gr.WebcamOptions(mirror=False), height=260,
                )  # fmt: skip
                model = gr.Dropdown(names, value=first, label="Model")
                beside = gr.Dropdown(
                    [PICTURE, *names], value=twin_of(first, names) or PICTURE, label="Beside it"
                )
                score = gr.Slider(0, 1, value=0.3, step=0.05, label="Score of objects, at least")
                tile = gr.Dropdown(TILES, value="none", label="Tiles, for large pictures (pixels)")
                with_spectra = gr.Checkbox(True, label="Show the spectrum of each layer")
                button = gr.Button("Run", variant="primary", elem_id="run")
            with gr.Column(scale=2, min_width=320):
                message = gr.HTML(visible=False)
                slider = gr.ImageSlider(
                    label="Result", interactive=False, max_height=640, elem_id="result",
                    buttons=["download", "fullscreen"],
                )  # fmt: skip
                found = gr.HTML()
        spectra = gr.HTML()

        def run(*values: Any) -> Iterator[tuple[Any, ...]]:
            for shown in respond(models, *values):
                image = shown[1] and gr.update(value=shown[1][0], label=shown[1][1])
                yield gr.update(value=shown[0], visible=bool(shown[0])), image, *shown[2:]

        inputs = [picture, model, beside, score, tile, with_spectra]
        outputs = [message, slider, found, spectra]
        button.click(
            run, inputs, outputs, concurrency_limit=TOGETHER, api_visibility="private"
        )  # fmt: skip
    page.queue(max_size=QUEUE, api_open=False)
    return page


Shown = tuple[str, tuple[Any, str] | None, str, str]
"""A message, the slider's two pictures with its label, what was found, the spectra."""


def respond(
    models: Mapping[str, Served],
    upload: Path | None,
    model: str,
    beside: str,
    score: float,
    tile: str,
    with_spectra: bool,
) -> Iterator[Shown]:
    """What the page shows after its button: the result, then also the spectra. Raises nothing."""
    try:
        if upload is None:
            raise UsageError("there is no picture yet: choose one, or take one with the camera")
        pixels = read_upload(upload)
        side = None if tile == "none" else int(tile)
        second = None if beside in (PICTURE, model) else models[beside]
        tried = try_models(models[model], second, pixels, side, score)
        label = f"{tried.left.title}  |  {tried.right.title}"
        images = (tried.left.image, tried.right.image), label
        said = element("p", tried.note, class_="soft") if tried.note else Markup()
        found = join([_found(tried.left), _found(tried.right)])
        waiting = element("p", "Measuring the layers …", class_="soft") if with_spectra else ""
        yield said, images, found, waiting
        if with_spectra:
            shown = [models[model], *([second] if second else [])]
            spectra = element("div", spectra_of(shown, pixels, side), class_="spectra")
            yield said, images, found, spectra
    except Exception as error:
        yield element("p", in_words(error), class_="error", role="alert"), None, "", ""


def in_words(error: Exception) -> str:
    """An error in one line. What we do not recognise keeps its traceback in the server's log."""
    if isinstance(error, FDAMError):
        return str(error)
    _log.error("the page's button failed", exc_info=error)
    return f"{type(error).__name__}: {error} (a fault; where is in the server's output)"


def _found(side: Side) -> Markup:
    if side.found is None:
        return Markup()
    line = legend(
        [f"{found.name} {found.amount}" for found in side.found],
        [found.colour for found in side.found],
    )
    nothing = element("p", "nothing", class_="soft")
    return join([element("strong", side.title), line if side.found else nothing])
