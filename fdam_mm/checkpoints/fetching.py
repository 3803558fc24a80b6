"""Files behind addresses: into torch's cache, and only when they are whole."""

import hashlib
import re
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch

from fdam_mm.errors import CheckpointError
from fdam_mm.files import atomic_file

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# torch's and OpenMMLab's custom: NAME-SHA256.pth. Digits alone may be a date.
_NAMED_BY_CONTENT = re.compile(r"-(?![0-9]+\.)([0-9a-f]{8,64})\.")
_SILENCE = 30.0  # seconds without a byte after which a server is given up
_CHUNK = 1 << 20


def local_file(path: str) -> Path:
    """The file of a path, or of an ``http(s)://`` address, fetched into torch's cache.

    Raises:
        CheckpointError: The address cannot be fetched, or its scheme is not read.
    """
    scheme = _SCHEME.match(path)
    if scheme is None:
        return Path(path).expanduser()
    if scheme[1].lower() not in ("http", "https"):
        raise CheckpointError(
            f"{path}: addresses with {scheme[0]} are not read, only files and http(s)://. Fetch "
            "the file and give its path"
        )
    target = Path(torch.hub.get_dir()) / "checkpoints" / _name(path)
    if not target.exists():
        _fetch(path, target)
    return target


def _name(address: str) -> str:
    """A file's name; other addresses may end in the same one, so that it tells them apart."""
    name = re.sub(r"[^\w.-]", "_", address.rpartition("/")[2])[-100:]
    if _NAMED_BY_CONTENT.search(name):
        return name
    return f"{hashlib.sha256(address.encode()).hexdigest()[:8]}_{name}"


def _fetch(address: str, target: Path) -> None:
    try:
        _download(address, target)
    except (OSError, HTTPException, ValueError) as error:  # no network, no such address, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(
            f"cannot fetch {address}: {reason}. Fetch it where there is a network and put it to "
            f"{target}; to start without it: fdam new --from-scratch for own data, else "
            "--cfg-options model.backbone.init_cfg=None, where the backbone's norms are trained"
        ) from error


def _download(address: str, target: Path) -> None:
    """Raises ValueError where what came is not the file."""
    if not urlsplit(address).hostname:
        raise ValueError("the address names no host")
    named = _NAMED_BY_CONTENT.search(target.name)
    digest, received = hashlib.sha256(), 0
    request = Request(address, headers={"User-Agent": "fdam_mm"})
    with urlopen(request, timeout=_SILENCE) as reply, atomic_file(target) as file:
        while chunk := reply.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
        length = reply.headers.get("Content-Length")
        if length is not None and received != int(length):
            raise ValueError(f"the download broke off after {received} of {length} bytes")
        if named and not digest.hexdigest().startswith(named[1]):
            raise ValueError(
                f"its content has the hash {digest.hexdigest()[:8]}, its name says {named[1]}"
            )
