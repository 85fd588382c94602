"""Which recognizer a gallery was made with."""

from collections.abc import Iterable
from pathlib import Path

from facerec.inference.model_file import RecognizerMetadata
from facerec.inference.recognizer import FaceRecognizer
from facerec.people.reader import stored_embedding
from facerec.people.samples import Embedding


def embedding_of(metadata: RecognizerMetadata, checksum: str) -> Embedding:
    """The embedding of a recognizer, to which a gallery is bound.

    Args:
        metadata: of the recognizer's file. Older files name no embedding: then it is that of this very file.
        checksum: SHA-256 of the file in hexadecimal.
    """
    return Embedding(metadata.embedding_id or checksum, metadata.embedding_size)


def recognizer_of_gallery(location: str | Path, candidates: Iterable[Path]) -> Path | None:
    """The file among `candidates` that a gallery was made with. No file is loaded unless the gallery has people.

    Args:
        location: see `PeopleStore`.
        candidates: recognizers' files. Those that are missing are passed over.

    Returns:
        `None` if the gallery isn't bound to a recognizer yet, or to none of these.

    Raises:
        ValueError: the location is a URL of another form.
        StoreError: the gallery can't be read.
        ModelFileError: a file is not a recognizer that this version understands.
    """
    bound = stored_embedding(location)
    for path in candidates if bound else ():
        if path.exists():
            recognizer = FaceRecognizer.load(path, threads=1)
            if embedding_of(recognizer.metadata, recognizer.checksum) == bound:
                return path
    return None
