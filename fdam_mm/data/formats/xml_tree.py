"""XML label files, read as data alone: no entities, whose expansion may fill the memory."""

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fdam_mm.errors import LabelError


def read_xml(file: Path) -> Element:
    """The root of a file.

    Raises:
        LabelError: it cannot be read, is no XML, or declares entities.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(file.read_bytes(), True)
        return builder.close()
    except (OSError, ValueError, AssertionError, expat.ExpatError) as error:
        reason = "it declares entities" if isinstance(error, _EntityError) else error
        raise LabelError(f"{file}: unreadable ({reason}), expected an XML of labels") from error


class _EntityError(ValueError):
    pass


def _refuse_entities(*_: object) -> None:
    raise _EntityError
