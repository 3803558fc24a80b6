"""Looking at the records of a zip file before torch reads them."""

import zipfile
from pathlib import Path

from fdam_mm.errors import CheckpointError

_ZIP = b"PK\x03\x04"  # how the zip files of torch.save begin


def require_plain_records(file: Path) -> None:
    """See that a zip file holds what ``torch.save`` writes: records as long as they are stored.

    A compressed record of a few MB can grow to any size. Other files are passed over.

    Raises:
        CheckpointError: A record is compressed, or the records are longer than the file.
        OSError, zipfile.BadZipFile: The file is damaged.
    """
    with file.open("rb") as start:
        if start.read(len(_ZIP)) != _ZIP:
            return
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise CheckpointError(
                f"{file}: its record {record.filename!r} is compressed, from {record.file_size} "
                f"to {record.compress_size} bytes; torch.save never does that. Unpack and save "
                "the weights again, or take the file from its source"
            )
    total = sum(record.file_size for record in records)
    if total > file.stat().st_size:
        raise CheckpointError(
            f"{file} ({file.stat().st_size} bytes) claims records of {total} bytes; it is damaged "
            "or made to harm, take it from its source again"
        )
