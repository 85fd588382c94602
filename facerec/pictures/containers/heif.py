"""The boxes of a HEIC or AVIF (ISO/IEC 14496-12, ISO/IEC 23008-12)."""

from struct import unpack_from

from facerec.pictures.containers.container import Container
from facerec.pictures.containers.heif_items import FREE, Items, boxes
from facerec.pictures.errors import UnsupportedPicture

_MAX_BRANDS_END = 256
"""Bytes at the start of the file in which brands are looked for. Files name about ten, of four bytes each."""
_AVIF_BRANDS, _HEIC_BRANDS = frozenset({b"avif", b"avis"}), frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})


def read(data: bytes) -> Container | None:
    """The primary picture of a HEIC or AVIF, or `None` if `data` is neither.

    Films and items without pixels become free space, so that everything else keeps its place. Decoders turn the picture
    upright by the rotation of the container. EXIF only repeats it (ISO/IEC 23008-12, annex A), so it is not applied.

    Raises:
        UnsupportedPicture: more boxes or items than programs write, items of more bytes than the file, or no item.
        struct.error, IndexError: the file ends within a box.
    """
    if data[4:8] != b"ftyp":
        return None
    end_of_brands = min(unpack_from(">L", data)[0], _MAX_BRANDS_END)
    brands = {data[place : place + 4] for place in range(8, end_of_brands, 4)}
    is_avif = bool(brands & _AVIF_BRANDS)
    if not is_avif and not brands & _HEIC_BRANDS:
        return None
    edited = bytearray(data)
    edited[8:12] = b"avif" if is_avif else b"heic"
    edited[16:end_of_brands] = data[16:end_of_brands].replace(b"avis", b"avif")  # the brand of files with a film
    items: Items | None = None
    for kind, start, content, end in boxes(data, 0, len(data)):
        if kind == b"meta" and not items:
            items = Items(edited, content + 4, end)
        elif kind not in {b"ftyp", b"mdat"}:
            edited[start + 4 : start + 8] = FREE
    if not items:
        raise UnsupportedPicture
    # libavif wants every box to describe an item. libheif would still read one of another type.
    items.free_others(free_boxes=not is_avif)
    return Container("AVIF" if is_avif else "HEIF", bytes(edited), canvas=items.largest_size())


def read_xmp(data: bytes) -> list[bytes]:
    """The XMP packet of a HEIC or AVIF (ISO/IEC 23008-12, annex A). Empty where there is none.

    Raises:
        UnsupportedPicture: more boxes or items than programs write, or items of more bytes than the file.
        struct.error, IndexError: the file ends within a box.
    """
    if data[4:8] == b"ftyp":
        for kind, _, content, end in boxes(data, 0, len(data)):
            if kind == b"meta":
                return Items(bytearray(data), content + 4, end).xmp()
    return []
