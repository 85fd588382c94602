"""Export a trained landmark network, and write its report and model card."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch

from facerec import __version__
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor, crop_for_landmarks
from facerec.inference.model_file import (
    LANDMARK_INPUTS,
    LANDMARK_OUTPUTS,
    LANDMARKS_FILE,
    LandmarkMetadata,
    checksum_path,
)
from facerec.training.dataset import FaceDataset
from facerec.training.errors import ExportError
from facerec.training.landmarks.evaluate import evaluate_landmarks, labelled_views
from facerec.training.landmarks.labels import LabelledFaces
from facerec.training.landmarks.network import CROP_SIZE, ENLARGEMENT, LandmarkGraph, LandmarkNetwork
from facerec.training.landmarks.report import LabelCounts, LandmarkReport
from facerec.training.licences import RANDOM_START
from facerec.training.onnx_export import Parity, save_with_metadata, write_onnx
from facerec.training.options import LandmarkOptions
from facerec.training.origin import Origin

MAX_COORDINATE_DIFFERENCE = 1e-4
"""Largest difference of a coordinate between ONNX Runtime and PyTorch, in sides of the face's square."""
LABELS_LICENCE = "learned its points from dlib's five-point predictor (public domain)"


def publish_landmarks(
    network: LandmarkNetwork,
    dataset: FaceDataset,
    options: LandmarkOptions,
    *,
    detector: FaceDetector,
    training: LabelledFaces,
    validation: LabelledFaces,
    test: LabelledFaces,
    origin: Origin,
) -> dict[str, str]:
    """Measure, and write the files of the landmark predictor.

    Args:
        network: in evaluation mode.
        dataset: pictures in the crop mode `centre`.
        options: of the run.
        detector: that found the faces.
        training: faces that the network was trained on.
        validation: faces that were kept from training.
        test: faces that chose nothing.
        origin: what ran, and where.

    Returns:
        Names and values of the metrics in words.

    Raises:
        ExportError: ONNX Runtime doesn't answer like PyTorch. Files that were in place before are left as they are.
    """
    output = options.publishing.output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=output) as folder:
        path = Path(folder) / LANDMARKS_FILE
        metadata = LandmarkMetadata(
            version=__version__,
            created=datetime.now(UTC).replace(microsecond=0),
            crop_size=CROP_SIZE,
            enlargement=ENLARGEMENT,
            mean_points=tuple((x, y) for x, y in training.points.mean(axis=0).round(4).tolist()),
            metrics={},
            configuration=options.recipe(),
            licence=f"{LABELS_LICENCE}, {RANDOM_START}",
        )
        write_onnx(
            LandmarkGraph(network.cpu()).eval(),
            torch.zeros(2, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8),
            path,
            input_name=LANDMARK_INPUTS[0].name,
            output_names=[output.name for output in LANDMARK_OUTPUTS],
            dynamic_axes={0: torch.export.Dim("batch")},
            metadata=metadata,
        )
        graph = onnx.load(path)
        predictor = LandmarkPredictor.load(path, threads=1)
        parity = measure_parity(predictor, network, dataset, validation)
        if parity.equal < parity.compared:
            raise ExportError(
                f"the exported predictor doesn't find what the network finds: {parity}. Nothing is changed."
            )
        metrics = evaluate_landmarks(predictor, detector, dataset, validation=validation, test=test)
        metadata = metadata.model_copy(update={"metrics": metrics.numbers()})
        save_with_metadata(graph, path, metadata)
        report = LandmarkReport(
            command=origin.command,
            machine=origin.machine,
            commit=origin.commit,
            detector=detector.checksum,
            file_bytes=path.stat().st_size,
            metadata=metadata,
            labels={
                "training": LabelCounts.of(training),
                "validation": LabelCounts.of(validation),
                "test": LabelCounts.of(test),
            },
            metrics=metrics,
            parity=parity,
        )
        for part in (path, checksum_path(path)):
            part.replace(output / part.name)
    report.write(output)
    return dict(report.summary())


def measure_parity(
    predictor: LandmarkPredictor, network: LandmarkNetwork, dataset: FaceDataset, faces: LabelledFaces
) -> Parity:
    """Run file and network on the same crops, and compare their points."""
    crops = np.stack([
        crop_for_landmarks(view.picture, view.face, size=CROP_SIZE, enlargement=ENLARGEMENT)
        for view in labelled_views(dataset, faces)
    ])  # fmt: skip
    with torch.inference_mode():
        trained = LandmarkGraph(network).eval()(torch.from_numpy(crops)).numpy()
    exported = np.concatenate([predictor.run(crop[None]) for crop in crops])
    differences = np.abs(trained - exported).max(axis=(1, 2))
    equal = int((differences <= MAX_COORDINATE_DIFFERENCE).sum())
    return Parity(len(crops), equal, float(differences.max()))
