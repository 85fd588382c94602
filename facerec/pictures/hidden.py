"""Names in a folder of pictures that no user means: hidden files, and what systems keep for themselves."""

_SYSTEM_FOLDERS = frozenset(
    {
        "@eaDir",  # Synology: thumbnails
        "#recycle",  # Synology: deleted files
        "#snapshot",  # Synology: earlier states of all files
        "@Recycle",  # QNAP
        "@Recently-Snapshot",  # QNAP
        "$RECYCLE.BIN",  # Windows
        "System Volume Information",  # Windows
        "lost+found",  # Linux
        "__MACOSX",  # macOS: what it keeps beside the files of an archive
    }
)


def is_hidden(name: str) -> bool:
    """Whether a search passes over a file or folder of this name, with all that is in it."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS
