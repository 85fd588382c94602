"""Export a trained detector, and write its report, model card and demo plot."""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

from facerec import __version__
from facerec.inference.detector import FaceDetector
from facerec.inference.errors import ModelFileError
from facerec.inference.model_file import (
    DETECTOR_FILE,
    DETECTOR_INPUTS,
    DETECTOR_OUTPUTS,
    RECOGNIZER_FILE,
    DetectorMetadata,
    SecondPass,
    checksum_path,
)
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.dataset import FaceDataset
from facerec.training.detection.demo_plot import draw_demo_scene
from facerec.training.detection.evaluate import choose_threshold, evaluate_detector
from facerec.training.detection.network import (
    FULL_SCORE_MIN_PIXELS,
    OUTPUT_MIN_SCORE,
    DetectorGraph,
    DetectorNetwork,
)
from facerec.training.detection.report import DetectionReport
from facerec.training.detection.synthetic_scenes import recognition_scene
from facerec.training.errors import DataError, ExportError
from facerec.training.licences import describe_start
from facerec.training.metrics import single_numbers
from facerec.training.onnx_export import Parity, save_with_metadata, write_onnx
from facerec.training.options import DetectorOptions
from facerec.training.origin import Origin
from facerec.training.plots import save_plots
from facerec.training.split import Split

LONG_SIDE = 512
"""Pixels of the long side to which a photo is reduced for the first pass."""
SECOND_PASS = SecondPass(min_score=0.25, max_score=0.7, side=192, min_iou=0.4, full_score_size=FULL_SCORE_MIN_PIXELS)
"""The second pass with which the threshold is chosen. Photographs outside of LFW chose these values."""
MAX_COORDINATE_DIFFERENCE = 0.05
"""Largest difference in pixels of a coordinate with which ONNX Runtime and PyTorch still find the same face."""
MAX_UNPAIRED_FRACTION = 0.01
"""Largest fraction of faces that only one of the two may find: rounding decides between two that overlap."""
COMPARISON_MIN_SCORE = 0.3
"""Faces with a lower score are not compared."""


def publish_detector(
    network: DetectorNetwork,
    recognizer: FaceRecognizer,
    dataset: FaceDataset,
    split: Split,
    options: DetectorOptions,
    *,
    origin: Origin,
) -> dict[str, str]:
    """Choose the threshold, measure, and write the detector's files.

    Args:
        network: in evaluation mode.
        recognizer: that the detector is measured with.
        dataset: crops in the mode `centre`.
        split: which images are used for what.
        options: of the run.
        origin: what ran, and where.

    Returns:
        Names and values of the metrics in words.

    Raises:
        FitError: the detector finds too few faces.
        ExportError: ONNX Runtime doesn't answer like PyTorch.
            After either error, files that were in place before are left as they are.
    """
    output, seed = options.publishing.output, options.data.seed
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=output) as folder:
        path = Path(folder) / DETECTOR_FILE
        metadata = DetectorMetadata(
            version=__version__,
            created=datetime.now(UTC).replace(microsecond=0),
            threshold=OUTPUT_MIN_SCORE,
            long_side=LONG_SIDE,
            second_pass=SECOND_PASS,
            metrics={},
            configuration=options.recipe(),
            licence=describe_start(options.model.weights, licence=options.publishing.weights_licence),
        )
        write_onnx(
            DetectorGraph(network.cpu()).eval(),
            torch.zeros(256, 320, 3, dtype=torch.uint8),
            path,
            input_name=DETECTOR_INPUTS[0].name,
            output_names=[output.name for output in DETECTOR_OUTPUTS],
            dynamic_axes={axis: 32 * torch.export.Dim(name, max=64) for axis, name in enumerate(("rows", "columns"))},
            metadata=metadata,
        )
        graph = onnx.load(path)
        detector = FaceDetector.load(path, threads=1)
        parity = measure_parity(detector, network, _comparison_pictures(dataset, split))
        if parity.compared - parity.equal > MAX_UNPAIRED_FRACTION * parity.compared:
            raise ExportError(
                f"the exported detector doesn't find what the network finds: {parity}. Nothing is changed."
            )
        threshold = choose_threshold(detector, dataset, split.unknown_validation, seed=seed)
        metadata = metadata.model_copy(update={"threshold": threshold})
        save_with_metadata(graph, path, metadata)
        detector = FaceDetector.load(path, threads=1)
        metrics = evaluate_detector(detector, recognizer, dataset, split, seed=seed)
        metadata = metadata.model_copy(update={"metrics": single_numbers(metrics)})
        save_with_metadata(graph, path, metadata)
        report = DetectionReport(
            command=origin.command,
            machine=origin.machine,
            commit=origin.commit,
            recognizer=recognizer.checksum,
            file_bytes=path.stat().st_size,
            metadata=metadata,
            metrics=metrics,
            parity=parity,
        )
        for part in (path, checksum_path(path)):
            part.replace(output / part.name)
    report.write(output)
    save_plots({"photo": draw_demo_scene(detector, recognizer, dataset, split, seed=seed)}, options.publishing.images)
    return dict(report.summary())


def load_recognizer(options: DetectorOptions, split: Split) -> FaceRecognizer:
    """The recognizer in the output folder, with which the detector is measured.

    Raises:
        DataError: there is none, or its test images are not those of `split`.
    """
    path = options.publishing.output / RECOGNIZER_FILE
    try:
        recognizer = FaceRecognizer.load(path, threads=1)
    except ModelFileError as error:
        raise DataError(f"the detector is measured with the recognizer: train that first. ({error})") from error
    people = [(person.name, person.training_images, person.test_images) for person in recognizer.metadata.people]
    train, test = (split.counts(indices).tolist() for indices in (split.train, split.test))
    same_people = people == list(zip(split.people, train, test, strict=False))
    if not same_people or recognizer.metadata.configuration["seed"] != options.data.seed:
        raise DataError(f"{path} was trained with other pictures or another --seed: train it with these first.")
    return recognizer


def _comparison_pictures(dataset: FaceDataset, split: Split) -> Iterator[Image.Image]:
    """Some synthetic scenes of unknown people, 320 x 320 pixels."""
    for number, index in enumerate(split.unknown_validation[:50]):
        random = np.random.default_rng(number)
        picture, _ = recognition_scene(dataset, int(index), split.unknown_validation, random=random)
        yield picture.resize((320, 320), Image.Resampling.BILINEAR)


def measure_parity(detector: FaceDetector, network: DetectorNetwork, pictures: Iterable[Image.Image]) -> Parity:
    """Run file and network on the same pictures, and pair each face of one with the nearest face of the other."""
    graph = DetectorGraph(network).eval()
    compared, equal, largest = 0, 0, 0.0
    for picture in pictures:
        image = np.asarray(picture.convert("RGB"))
        exported = detector.run(image)
        with torch.inference_mode():
            trained = graph(torch.from_numpy(image.copy())).numpy()
        for faces, others in ((trained, exported), (exported, trained)):
            scored = faces[faces[:, 4] >= COMPARISON_MIN_SCORE]
            compared += len(scored)
            if len(scored) and len(others):
                differences = np.abs(scored[:, None] - others[None]).max(axis=2).min(axis=1)
                paired = differences <= MAX_COORDINATE_DIFFERENCE
                equal += int(paired.sum())
                largest = max(largest, float(differences[paired].max(initial=0)))
    return Parity(compared, equal, largest)
