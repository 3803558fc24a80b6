"""gradio's picture, as a file: gradio would decode it before its size is known."""

from pathlib import Path
from typing import Any


def picture_input(**settings: Any) -> Any:
    """``gradio.Image`` that gives an upload, or a picture of the camera, as the path of its file.

    A picture that a request names by an address is not fetched. The methods are the instance's:
    for a subclass gradio writes a file beside its source.
    """
    import gradio as gr

    picture: Any = gr.Image(**settings)
    keep = picture.async_move_resource_to_block_cache

    async def keep_file(path: str | Path | None) -> str | None:
        if "://" in str(path):
            raise gr.Error("a picture is uploaded, not named by its address")
        return await keep(path)

    picture.async_move_resource_to_block_cache = keep_file
    picture.preprocess = _as_file
    return picture


def _as_file(payload: Any) -> Path | None:
    return Path(payload.path) if payload is not None and payload.path else None
