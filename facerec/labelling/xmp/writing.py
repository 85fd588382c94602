"""Write the people in photos to sidecars, and take exactly that out again.

A sidecar takes the place of the XMP in the photo for programs that read it: digiKam then ignores the latter
(`MetaEngine::Private::loadSidecarData`). So a new sidecar begins as a copy of it. Where there is none, it begins as a
copy of `photo.xmp`, unless that belongs to another photo too. Neither that nor the photo is ever changed.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facerec.labelling.xmp.areas import Area, Region
from facerec.labelling.xmp.document import MAX_XMP_BYTES, XmpDocument
from facerec.labelling.xmp.errors import XmpError
from facerec.labelling.xmp.faces import View, named_areas
from facerec.labelling.xmp.files import File
from facerec.labelling.xmp.labels import put_in, take_out
from facerec.labelling.xmp.reading import other_sources_of_names, read_metadata, shorter_sidecar_of, sidecar_of


def label_photo(photo: Path, regions: Iterable[Region], size: tuple[int, int], *, dry_run: bool = False) -> bool:
    """Write the people in a photo to its sidecar, in place of those that we wrote before.

    What others wrote is kept. A face that somebody else has named is left as it is named. Faces without a name are not
    written, because digiKam reads no further than to the first of them.

    Args:
        photo: a file. Links are followed, but the sidecar is beside the link.
        regions: the faces whose people are known.
        size: width and height of the upright picture in pixels.
        dry_run: change nothing.

    Returns:
        Whether the sidecar changes.

    Raises:
        XmpError: a file can't be read or written, the sidecar is not XMP, or a name can't be written.
        UnsupportedPicture: the photo is not a picture, or damaged.
    """
    metadata = read_metadata(photo)
    view = View(size, metadata.orientation)
    file = File(sidecar_of(photo), max_bytes=MAX_XMP_BYTES)
    document = _begin(metadata.packets, photo) if file.content is None else XmpDocument(file.content, file.path)
    named = [area for _, area in named_areas(document, view)]
    for read_names in other_sources_of_names(photo, metadata.packets, view):
        with suppress(XmpError):  # what no program can read names nobody
            named += [area for _, area in read_names()]
    before = document.to_bytes()
    created = take_out(document)
    if file.content is None:
        created = _digest(document)
    ours = [region for region in regions if region.name and not any(map(Area.of(region, size).is_centred_in, named))]
    if ours:
        put_in(document, ours, view, created)
    return _save(file, document, before, created, dry_run=dry_run)


def unlabel_photo(photo: Path, *, dry_run: bool = False) -> bool:
    """Take what we wrote out of a photo's sidecar, and delete the sidecar if we made it and nobody has added to it.

    A region that somebody has changed since we wrote it is theirs and stays. The photo may be gone.

    Returns:
        Whether the sidecar changes.

    Raises:
        XmpError: the sidecar can't be read or written, or is not XMP.
    """
    file = File(sidecar_of(photo), max_bytes=MAX_XMP_BYTES)
    if file.content is None:
        return False
    document = XmpDocument(file.content, file.path)
    before = document.to_bytes()
    return _save(file, document, before, take_out(document), dry_run=dry_run)


def _begin(packets: list[bytes], photo: Path) -> XmpDocument:
    """What a new sidecar begins with. XMP that is damaged is left out: no program reads it, and nothing is lost."""
    shorter = shorter_sidecar_of(photo)
    with suppress(XmpError):
        if packets:
            return XmpDocument.embedded(packets, photo)
        content = File(shorter, max_bytes=MAX_XMP_BYTES).content
        if content is not None and not _is_shared(shorter, photo):
            return XmpDocument(content, shorter)
    return XmpDocument.embedded([], photo)


def _is_shared(shorter: Path, photo: Path) -> bool:
    """Whether `photo.xmp` may belong to another file `photo.*`, such as the raw photo beside a JPEG.

    It counts as shared where the folder can't be listed.
    """
    own = {photo.name, shorter.name, sidecar_of(photo).name}
    try:
        names = os.listdir(photo.parent)  # noqa: PTH208
    except OSError:
        return True
    return any(name.startswith(f"{photo.stem}.") and name not in own for name in names)


def _save(file: File, document: XmpDocument, before: bytes, created: str, *, dry_run: bool) -> bool:
    """Write, delete or leave the sidecar. Returns whether it changes."""
    after = document.to_bytes()
    if created and (document.is_empty() or created == _digest(document)):
        if file.content is not None and not dry_run:
            file.delete()
        return file.content is not None
    if after != before and not dry_run:
        file.replace(after)
    return after != before


def _digest(document: XmpDocument) -> str:
    return hashlib.sha256(document.to_bytes()).hexdigest()
