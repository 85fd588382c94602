"""The faces that Picasa kept in a folder's `.picasa.ini`.

Its rectangles mean the picture as it is stored: ExifTool's `picasa_faces.config` copies them into MWG regions as they
are.
"""

import re
from pathlib import Path

from facerec.labelling.xmp.areas import Area
from facerec.labelling.xmp.faces import NamedArea
from facerec.labelling.xmp.files import File

_MAX_BYTES = 8 << 20
"""Bytes of a folder's file. A photo with faces takes about two hundred."""
_FACE = re.compile(r"rect64\(([0-9a-f]{1,16})\),([0-9a-f]{1,16})")
_SIDES = range(48, -1, -16)
"""The bits where left, top, right and bottom begin in a rectangle of 64 bits."""


def picasa_areas(photo: Path, orientation: int) -> list[NamedArea]:
    """The named faces of a photo, in the upright picture.

    Names are those of the section `Contacts2`. Picasa kept the names of other contacts in a file of its own.

    Raises:
        XmpError: there is a `.picasa.ini` that can't be read.
    """
    content = File(photo.with_name(".picasa.ini"), max_bytes=_MAX_BYTES).content or b""
    text = content.decode(errors="replace")
    if f"[{photo.name}]" not in text:  # reading the lines takes much longer, and a folder may have many photos
        return []
    names: dict[str, str] = {}
    faces = ""
    section = ""
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.strip()[1:-1]
        elif section == "Contacts2" and equals:
            names[key.strip()] = value.partition(";")[0].strip()
        elif section == photo.name and key.strip() == "faces":
            faces = value
    found: list[NamedArea] = []
    for rectangle, contact in _FACE.findall(faces):
        left, top, right, bottom = ((int(rectangle, 16) >> bits & 0xFFFF) / 0xFFFF for bits in _SIDES)
        found += NamedArea.checked(names.get(contact, ""), Area(left, top, right, bottom), orientation)
    return found
