"""The trained detector as an ONNX file with its checksum, report, card and figure."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

from facerec import __version__
from facerec.inference.detector import FaceDetector
from facerec.inference.model_file import (
    DETECTOR_INPUT,
    DETECTOR_OUTPUTS,
    DetectorMetadata,
    ModelFileError,
    checksum_path,
    write_checksum,
)
from facerec.inference.recognizer import Recognizer
from facerec.training.atomic_write import replacing
from facerec.training.dataset import FaceDataset
from facerec.training.detection.demo_plot import draw_photo
from facerec.training.detection.evaluate import choose_threshold, evaluate_detector
from facerec.training.detection.network import LOWEST_SCORE, DetectorGraph, DetectorNetwork
from facerec.training.detection.report import card, in_words
from facerec.training.detection.synthetic_scenes import recognition_scene
from facerec.training.errors import DataError, ExportError
from facerec.training.licences import describe_start
from facerec.training.onnx_export import write_onnx
from facerec.training.options import Options
from facerec.training.plots import save_plots
from facerec.training.recognition.export import FILE_NAME as RECOGNIZER
from facerec.training.split import Split

FILE_NAME = "face_detector.onnx"
LONG_SIDE = 512
"""Pixels of the long side that a photo is shrunk to before its faces are detected."""
LARGEST_DIFFERENCE = 0.05
"""Of a coordinate in pixels between ONNX Runtime and PyTorch, for two faces to be the same."""
MAX_UNPAIRED_FRACTION = 0.01
"""Of the faces that only one of them finds: rounding decides between two that overlap."""
COMPARED_FROM = 0.3
"""Score from which a face is compared."""


@dataclass(frozen=True)
class Parity:
    """How far the ONNX file agrees with the PyTorch network.

    Attributes:
        faces: number of faces that the one finds, and of those that the other finds.
        paired: number of them that both find.
        largest_difference: of their coordinates, in pixels.
    """

    faces: int
    paired: int
    largest_difference: float


def publish_detector(
    network: DetectorNetwork,
    recognizer: Recognizer,
    dataset: FaceDataset,
    split: Split,
    options: Options,
    *,
    command: str,
    machine: str,
) -> dict[str, str]:
    """Choose the threshold, measure, and write the detector's files to `options.output`; returns the metrics in words.

    Raises:
        TrainingError: the detector finds no face at all.
        ExportError: ONNX Runtime doesn't answer like PyTorch.
            Whichever is raised, files that were in place before are left as they are.
    """
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=options.output) as folder:
        path = Path(folder) / FILE_NAME
        metadata = DetectorMetadata(
            version=__version__,
            created=datetime.now(UTC).replace(microsecond=0),
            threshold=LOWEST_SCORE,
            long_side=LONG_SIDE,
            metrics={},
            configuration=options.detector_recipe(),
            licence=describe_start(options.weights, licence=options.weights_licence),
        )
        write_onnx(
            DetectorGraph(network.cpu()).eval(),
            torch.zeros(256, 320, 3, dtype=torch.uint8),
            path,
            names=(DETECTOR_INPUT.name, [output.name for output in DETECTOR_OUTPUTS]),
            dynamic={axis: 32 * torch.export.Dim(name, max=64) for axis, name in enumerate(("rows", "columns"))},
            properties=metadata.to_properties(),
        )
        detector = FaceDetector.load(path, threads=1)
        parity = compare(detector, network, _pictures(dataset, split))
        if parity.faces - parity.paired > MAX_UNPAIRED_FRACTION * parity.faces:
            raise ExportError(
                f"the exported detector doesn't find what the network finds: {parity}. Nothing is changed."
            )
        threshold = choose_threshold(detector, dataset, split.unknown_validation, seed=options.seed)
        metadata = metadata.model_copy(update={"threshold": threshold})
        _describe(path, metadata)
        detector = FaceDetector.load(path, threads=1)
        metrics = evaluate_detector(detector, recognizer, dataset, split, seed=options.seed)
        metadata = metadata.model_copy(update={"metrics": metrics.values()})
        _describe(path, metadata)
        words = in_words(metrics) | {
            "ONNX Runtime against PyTorch": (
                f"{parity.paired} of {parity.faces} faces the same, coordinates within "
                f"{parity.largest_difference:.1e} pixels"
            ),
            "file": f"{path.stat().st_size / 1e6:.2f} MB",
        }
        report = {
            "command": command,
            "machine": machine,
            "recognizer": recognizer.checksum,
            "metadata": metadata.model_dump(mode="json"),
            "metrics": asdict(metrics),
            "parity": asdict(parity),
        }
        for part in (path, checksum_path(path)):
            part.replace(options.output / part.name)
    with replacing(options.output / "face_detector.json") as file:
        file.write_text(json.dumps(report, indent=1) + "\n")
    with replacing(options.output / "face_detector.md") as file:
        file.write_text(card(metadata, words, command=command, machine=machine), encoding="utf-8")
    save_plots({"photo": draw_photo(detector, recognizer, dataset, split, seed=options.seed)}, options.images)
    return words


def load_recognizer(options: Options, split: Split) -> Recognizer:
    """The recognizer in `options.output` that the detector is measured with.

    Raises:
        DataError: there is none, or its test images are not those of `split`.
    """
    path = options.output / RECOGNIZER
    try:
        recognizer = Recognizer.load(path, threads=1)
    except ModelFileError as error:
        raise DataError(f"the detector is measured with the recognizer: train that first. ({error})") from error
    theirs = [(person.name, person.training_images, person.test_images) for person in recognizer.metadata.people]
    train, test = (split.counts(images).tolist() for images in (split.train, split.test))
    same_people = theirs == list(zip(split.people, train, test, strict=False))
    if not same_people or recognizer.metadata.configuration["seed"] != options.seed:
        raise DataError(f"{path} was trained with other pictures or another --seed: train it with these first.")
    return recognizer


def _pictures(dataset: FaceDataset, split: Split) -> Iterator[Image.Image]:
    """Some scenes of strangers, 320 pixels wide and high."""
    for number, image in enumerate(split.unknown_validation[:50]):
        picture, _ = recognition_scene(
            dataset, int(image), split.unknown_validation, random=np.random.default_rng(number)
        )
        yield picture.resize((320, 320), Image.Resampling.BILINEAR)


def compare(detector: FaceDetector, network: DetectorNetwork, pictures: Iterable[Image.Image]) -> Parity:
    """Run file and network on the same pictures, and pair each face of either with the nearest of the other."""
    graph = DetectorGraph(network).eval()
    faces, paired, largest = 0, 0, 0.0
    for picture in pictures:
        image = np.asarray(picture.convert("RGB"))
        theirs = detector.run(image)
        with torch.inference_mode():
            ours = graph(torch.from_numpy(image.copy())).numpy()
        for some, others in ((ours, theirs), (theirs, ours)):
            sure = some[some[:, 4] >= COMPARED_FROM]
            faces += len(sure)
            if len(sure) and len(others):
                differences = np.abs(sure[:, None] - others[None]).max(axis=2).min(axis=1)
                same = differences <= LARGEST_DIFFERENCE
                paired += int(same.sum())
                largest = max(largest, float(differences[same].max(initial=0)))
    return Parity(faces, paired, largest)


def _describe(path: Path, metadata: DetectorMetadata) -> None:
    """Give the file at `path` other metadata."""
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, metadata.to_properties())
    onnx.save(proto, path)
    write_checksum(path)
