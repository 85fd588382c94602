"""Why the metadata of a photo can't be read or written.

XmpError
├── XmpNotAFile
├── XmpTooLarge
├── XmpDamaged
├── XmpWithDoctype
├── XmpNotUnderstood
├── XmpNameNotAllowed
├── XmpNotReadable
├── XmpNotWritable
└── XmpChanged
"""

from pathlib import Path

from facerec.labelling.errors import LabellingError


class XmpError(LabellingError):
    """The metadata of a photo can't be read or written. Nothing was changed.

    Attributes:
        path: of the file that is meant, a sidecar or a photo. It is not in the message.
    """

    def __init__(self, path: Path, message: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class XmpNotAFile(XmpError):
    """A link, a folder or a device has the sidecar's name."""

    code = "xmp_not_a_file"
    message = (
        "The sidecar is a link, a folder or a device. Only a regular file is read and written: put one in its place."
    )


class XmpTooLarge(XmpError):
    """The file has more bytes than the limit."""

    code = "xmp_too_large"
    message = "The file is larger than any that is read for a photo's metadata: move it away, or leave this photo out."


class XmpDamaged(XmpError):
    """The metadata is not XML, or not XMP."""

    code = "xmp_damaged"
    message = "The metadata is not XMP, or is damaged: repair it, or move the sidecar away, and a new one is made."


class XmpWithDoctype(XmpError):
    """The metadata declares a document type or entities, which XMP does not have and attackers use."""

    code = "xmp_with_doctype"
    message = "The metadata has a DOCTYPE or entities. XMP has none, so it is not read: move the sidecar away."


class XmpNotUnderstood(XmpError):
    """A property to which something must be added has a form that XMP does not give it."""

    code = "xmp_not_understood"
    message = "The metadata has regions or keywords in a form that XMP does not give them, so nothing can be added."


class XmpNameNotAllowed(XmpError):
    """A name has a character that XML can't hold."""

    code = "xmp_name_not_allowed"
    message = "A person's name has a character that XMP can't hold: rename the person."


class XmpNotReadable(XmpError):
    """The sidecar or the photo can't be read, or is gone."""

    code = "xmp_not_readable"
    message = "The file can't be read: see that it is still there, and let this user read it."


class XmpNotWritable(XmpError):
    """The folder may only be read, the disk is full, or the sidecar's name is too long."""

    code = "xmp_not_writable"
    message = (
        "The sidecar can't be written: let this user write the folder, see that its disk has space, or shorten the "
        "photo's name."
    )


class XmpChanged(XmpError):
    """Another program has changed the sidecar in the meantime."""

    code = "xmp_changed"
    message = "Another program changed the sidecar in the same moment: try again."
