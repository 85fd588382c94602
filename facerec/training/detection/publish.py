"""Export a trained detector, and write its report and model card."""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch

from facerec import __version__
from facerec.inference.detector import FaceDetector
from facerec.inference.model_file import (
    DETECTOR_FILE,
    DETECTOR_INPUTS,
    DETECTOR_OUTPUTS,
    DetectorMetadata,
    SecondPass,
    checksum_path,
)
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import Pixels
from facerec.training.detection.evaluate import choose_threshold, evaluate_detector
from facerec.training.detection.network import (
    FULL_SCORE_MIN_PIXELS,
    OUTPUT_MIN_SCORE,
    DetectorGraph,
    DetectorNetwork,
)
from facerec.training.detection.report import DetectionReport
from facerec.training.detection.synthetic_scenes import compose_scene
from facerec.training.errors import ExportError
from facerec.training.licences import RANDOM_START
from facerec.training.metrics import single_numbers
from facerec.training.onnx_export import Parity, save_with_metadata, write_onnx
from facerec.training.options import DetectorOptions
from facerec.training.origin import Origin
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
    network: DetectorNetwork, dataset: FaceDataset, split: Split, options: DetectorOptions, *, origin: Origin
) -> dict[str, str]:
    """Choose the threshold, measure, and write the detector's files.

    Args:
        network: in evaluation mode.
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
            licence=RANDOM_START,
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
        metrics = evaluate_detector(detector, dataset, split, seed=seed)
        metadata = metadata.model_copy(update={"metrics": single_numbers(metrics)})
        save_with_metadata(graph, path, metadata)
        report = DetectionReport(
            command=origin.command,
            machine=origin.machine,
            commit=origin.commit,
            file_bytes=path.stat().st_size,
            metadata=metadata,
            metrics=metrics,
            parity=parity,
        )
        for part in (path, checksum_path(path)):
            part.replace(output / part.name)
    report.write(output)
    return dict(report.summary())


def _comparison_pictures(dataset: FaceDataset, split: Split) -> Iterator[Pixels]:
    """Some synthetic scenes of unknown people, uint8 `[320, 320, 3]`."""
    for number in range(50):
        random = np.random.default_rng(number)
        yield compose_scene(dataset, split.unknown_validation, side=320, random=random).picture


def measure_parity(detector: FaceDetector, network: DetectorNetwork, pictures: Iterable[Pixels]) -> Parity:
    """Run file and network on the same pictures, and pair each face of one with the nearest face of the other.

    Args:
        detector: of the exported file.
        network: in evaluation mode.
        pictures: uint8 `[H, W, 3]`, RGB, with sides that are multiples of 32.
    """
    graph = DetectorGraph(network).eval()
    compared, equal, largest = 0, 0, 0.0
    for picture in pictures:
        exported = detector.run(picture)
        with torch.inference_mode():
            trained = graph(torch.from_numpy(picture.copy())).numpy()
        for faces, others in ((trained, exported), (exported, trained)):
            scored = faces[faces[:, 4] >= COMPARISON_MIN_SCORE]
            compared += len(scored)
            if len(scored) and len(others):
                differences = np.abs(scored[:, None] - others[None]).max(axis=2).min(axis=1)
                paired = differences <= MAX_COORDINATE_DIFFERENCE
                equal += int(paired.sum())
                largest = max(largest, float(differences[paired].max(initial=0)))
    return Parity(compared, equal, largest)
