"""JPEGs that end too early: some versions of cv2 (4.10) hand them out, with grey for the rest."""

from pathlib import Path

from .rows import naming, picture_size

_START, _SCAN, _END = b"\xff\xd8\xff", 0xDA, b"\xff\xd9"


def require_whole_jpeg(file: Path) -> None:
    """See that a JPEG is not cut off; other files pass, for cv2 refuses theirs.

    Mostly two short reads. Where the file does not end with the marker of an end, as with bytes
    behind it, the marker is searched; without any, Pillow decodes the picture and decides.

    Raises:
        PictureError: It is cut off.
    """
    if not file.is_file():
        return
    with naming(file), file.open("rb") as stream:
        if stream.read(len(_START)) != _START:
            return
        stream.seek(-len(_END), 2)
        if stream.read() == _END:
            return
        stream.seek(0)
        data = stream.read()
    if data.find(_END, _start_of_scan(data)) < 0:
        picture_size(file, whole=True)


def _start_of_scan(data: bytes) -> int:
    """Where the pixels start: an EXIF block before them may hold a whole JPEG of its own."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _SCAN:
        is_padding = data[place + 1] == 0xFF
        place += 1 if is_padding else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place
