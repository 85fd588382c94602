"""Label an archive with toy models, in a process that can be killed.

Run it as `python -m tests.labelling.archive_run RECOGNIZER DETECTOR LANDMARKS GALLERY ARCHIVE OUTPUT`. A part is
written as soon as there is something to write. It prints a line once it begins.
"""

import sys
from pathlib import Path

from facerec.labelling.archive import People, label_archive
from tests.labelling.toy_archive import toy_options


def main(recognizer: str, detector: str, landmarks: str, gallery: str, archive: str, output: str) -> None:
    """Label the archive with two workers."""
    options = toy_options(Path(recognizer), Path(detector), Path(landmarks))
    print("started", flush=True)
    progress = label_archive(archive, output, options, workers=2, people=People(gallery=gallery), part_seconds=0.02)
    print(progress, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
