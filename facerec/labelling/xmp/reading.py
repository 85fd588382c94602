"""The names that people have already given to the faces of a photo."""

import struct
from pathlib import Path
from typing import NamedTuple

from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.document import MAX_XMP_BYTES, XmpDocument
from facerec.labelling.xmp.errors import XmpNotReadable
from facerec.labelling.xmp.faces import NamedArea, View, named_areas
from facerec.labelling.xmp.files import File
from facerec.labelling.xmp.picasa import picasa_areas
from facerec.pictures.containers import read_container, read_xmp
from facerec.pictures.errors import UnsupportedPicture

SIDECAR_SUFFIX = ".xmp"
"""What follows a photo's name in that of its sidecar."""

_MAX_PHOTO_BYTES = 1 << 30
"""Bytes of a photo. It is read whole, as it is for recognition."""


class PhotoMetadata(NamedTuple):
    """What a photo's file says of the photo. No pixel is decoded."""

    orientation: int
    """EXIF orientation, 1 to 8. That of a HEIC or AVIF is 1, as its decoders turn it upright."""
    packets: list[bytes]
    """XMP, not parsed: none, one packet, or one and its extension."""


def sidecar_of(photo: Path) -> Path:
    """The sidecar that belongs to a photo: `photo.jpg.xmp`, as digiKam and darktable name it."""
    return photo.with_name(photo.name + SIDECAR_SUFFIX)


def shorter_sidecar_of(photo: Path) -> Path:
    """Where Lightroom keeps a photo's metadata: `photo.xmp`."""
    return photo.with_suffix(SIDECAR_SUFFIX)


def read_metadata(photo: Path) -> PhotoMetadata:
    """Read the orientation and the XMP of a photo.

    Raises:
        XmpError: the file can't be read.
        UnsupportedPicture: it is not a picture, or damaged.
    """
    data = File(photo, max_bytes=_MAX_PHOTO_BYTES, follow_links=True).content
    if data is None:
        raise XmpNotReadable(photo)
    try:
        return PhotoMetadata(read_container(data).orientation, read_xmp(data))
    except (struct.error, IndexError, KeyError, ValueError):
        raise UnsupportedPicture from None


def named_regions(photo: Path, size: tuple[int, int]) -> list[Region]:
    """The faces that people or other programs have named, from the first of these that names any: `photo.jpg.xmp`,
    `photo.xmp`, the XMP in the photo, and Picasa's `.picasa.ini`.

    Regions that we wrote are left out. The names are as they were written, so `canonical_name` may refuse them.

    Args:
        photo: a file. Links are followed.
        size: width and height of the upright picture in pixels.

    Raises:
        XmpError: a file can't be read, or is not XMP.
        UnsupportedPicture: the photo is not a picture, or damaged.
    """
    metadata = read_metadata(photo)
    return [area.region(name, size) for name, area in areas_named_by_others(photo, metadata, size)]


def areas_named_by_others(photo: Path, metadata: PhotoMetadata, size: tuple[int, int]) -> list[NamedArea]:
    """The same as `named_regions`, for a photo whose metadata was read, as areas of the upright picture.

    Raises:
        XmpError: a file can't be read, or is not XMP.
    """
    view = View(size, metadata.orientation)
    for sidecar in (sidecar_of(photo), shorter_sidecar_of(photo)):
        content = File(sidecar, max_bytes=MAX_XMP_BYTES).content
        if content is not None and (found := named_areas(XmpDocument(content, sidecar), view)):
            return found
    embedded = named_areas(XmpDocument.embedded(metadata.packets, photo), view)
    return embedded or picasa_areas(photo, metadata.orientation)
