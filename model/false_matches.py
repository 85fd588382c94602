"""Measure the false matches of a recognizer's file on Labeled Faces in the Wild, for galleries of enrolled people.

    uv run -m model.false_matches model/face_recognition.onnx       about 2 minutes

`train.py` measures them itself. This is for files that were trained before it did. It writes them into the file's
metadata, from which the service takes the threshold of a gallery, and into the report and the card beside the file.
Weights, the threshold for the known people and all other numbers stay as they are.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from tqdm import tqdm

from facerec.inference.recognizer import FaceRecognizer
from facerec.training.croppers import load_aligned_cropper
from facerec.training.errors import DataError
from facerec.training.model_card import render_card, write_results
from facerec.training.onnx_export import save_with_metadata
from facerec.training.options import RecognizerDataOptions
from facerec.training.recognition.false_matches import EnrolledPeople, measure_false_matches, measure_galleries
from facerec.training.recognition.report import GALLERIES_TEMPLATE
from facerec.training.session import load_crops, load_pictures
from facerec.training.split import split_dataset

SECTION = "## Thresholds for galleries of any size\n"
FOLLOWING_SECTION = "## Data and protocol\n"


def add_false_matches(path: Path, options: RecognizerDataOptions) -> None:
    """Measure the false matches of a recognizer that was trained on LFW, and write them to its files.

    Raises:
        ModelFileError: the file is damaged, or is no recognizer.
        DataError: the data set can't be had, has too few unknown people, or other known ones than the recognizer.
    """
    recognizer = FaceRecognizer.load(path, threads=torch.get_num_threads())
    metadata, trained = recognizer.metadata, recognizer.metadata.backbone != "dlib-resnet"
    pictures = load_pictures(options)
    dataset = load_crops(pictures, options, load_aligned_cropper(options, metadata.alignment))
    split = split_dataset(dataset, min_images=options.min_images, seed=options.seed, fold=0)
    if split.people != [person.name for person in metadata.people]:
        raise DataError(f"{path} knows other people than those of the data set")

    people = EnrolledPeople.of(split, dataset.identities, trained=trained)
    images = np.unique(np.concatenate([split.unknown_validation, split.unknown_test, *people.new, *people.choosing]))
    embeddings = torch.full((len(dataset.paths), metadata.embedding_size), torch.nan)
    for chunk in tqdm(np.array_split(images, len(images) // 32), desc="Embedding", unit=" steps"):
        embeddings[chunk] = torch.from_numpy(recognizer.recognize(dataset.crops[chunk]).embeddings)
    directions = torch.from_numpy(recognizer.directions)
    false_matches = measure_false_matches(
        embeddings.__getitem__,
        directions,
        split,
        people,
        identities=dataset.identities,
        false_accept_rate=float(str(metadata.configuration["false_accept_rate"])),
    )
    if not false_matches:
        raise DataError("the data set has too few unknown people to measure false matches")
    galleries = measure_galleries(
        embeddings.__getitem__, directions, split, people, false_matches, uncorrected=metadata.threshold
    )

    metadata = metadata.model_copy(update={"false_matches": false_matches})
    report = json.loads(path.with_suffix(".json").read_text())
    values = {
        "metadata": metadata,
        "galleries": galleries,
        "new_people_trained_on": trained and "new_people" not in report["metrics"],
    }
    report["metrics"]["galleries"] = [asdict(gallery) for gallery in galleries]
    before, _, after = path.with_suffix(".md").read_text().partition(FOLLOWING_SECTION)
    before = before.partition(SECTION)[0] + render_card(GALLERIES_TEMPLATE, values)
    save_with_metadata(onnx.load(path), path, metadata)
    write_results(path, report, metadata, f"{before}\n{FOLLOWING_SECTION}{after}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: uv run -m model.false_matches FILE")
    add_false_matches(Path(sys.argv[1]), RecognizerDataOptions())
