"""Export a trained network, and write its report, model card and plots."""

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue

from facerec import __version__
from facerec.inference.model_file import (
    ACCURATE_RECOGNIZER_FILE,
    RECOGNIZER_FILE,
    RECOGNIZER_INPUTS,
    RECOGNIZER_OUTPUTS,
    Alignment,
    Backbone,
    RecognizerMetadata,
    checksum_path,
)
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.crop_pictures import PictureCropper
from facerec.training.dataset import FaceDataset
from facerec.training.errors import ExportError
from facerec.training.licences import DLIB_RESNET_LICENCE, describe_start
from facerec.training.metrics import Floats, single_numbers
from facerec.training.onnx_export import Parity, write_onnx
from facerec.training.options import RecognizerOptions
from facerec.training.origin import Origin
from facerec.training.plots import save_plots
from facerec.training.recognition.augment import augment
from facerec.training.recognition.conditions import errors_by_condition
from facerec.training.recognition.embeddings import EmbeddingNetwork
from facerec.training.recognition.evaluate import Evaluation
from facerec.training.recognition.network import RecognizerGraph
from facerec.training.recognition.plots import draw_run
from facerec.training.recognition.report import RecognitionReport
from facerec.training.recognition.trained_model import TrainedModel
from facerec.training.recognition.views import training_inputs
from facerec.training.split import Indices, Split

MODEL_FILES: dict[Backbone, str] = {
    "mobilenet-v3-large": RECOGNIZER_FILE,
    "dlib-resnet": ACCURATE_RECOGNIZER_FILE,
}
"""Name of the model file."""
MAX_PROBABILITY_DIFFERENCE = 1e-3
"""Largest difference of a probability between ONNX Runtime and PyTorch that still counts as the same answer."""


def publish(
    models: list[TrainedModel],
    evaluations: list[Evaluation],
    dataset: FaceDataset,
    split: Split,
    options: RecognizerOptions,
    *,
    cropper: PictureCropper,
    data: dict[str, JsonValue],
    origin: Origin,
) -> dict[str, str]:
    """Export the network of the first fold, and write the report, the model card and the plots of the run.

    Args:
        models: the network of each fold.
        evaluations: of each fold.
        dataset: the crops.
        split: of the first fold.
        options: of the run.
        cropper: made the crops.
        data: the data set and its split in words.
        origin: what ran, and where.

    Returns:
        Names and values of the test metrics in words.

    Raises:
        ExportError: ONNX Runtime doesn't answer like PyTorch. Files that were in place before are left as they are.
    """
    exported, evaluation = models[0], evaluations[0]
    backbone = options.model.backbone
    metadata = RecognizerMetadata(
        backbone=backbone,
        alignment=cropper.cropper.alignment,
        version=__version__,
        created=datetime.now(UTC).replace(microsecond=0),
        people=tuple(evaluation.people),
        embedding_size=exported.directions.shape[1],
        embedding_id=embedding_id(exported.network, cropper.cropper.alignment),
        threshold=evaluation.threshold,
        false_accept_rate=evaluation.validation_false_accept_rate,
        false_matches=evaluation.false_matches,
        temperature=evaluation.temperature,
        metrics=single_numbers(evaluation.metrics),
        configuration=options.recipe(),
        licence=DLIB_RESNET_LICENCE
        if backbone == "dlib-resnet"
        else describe_start(
            options.model.weights, licence=options.publishing.weights_licence, taught=bool(exported.pretraining)
        ),
    )
    parity = export(
        exported,
        metadata,
        options.publishing.output,
        dataset=dataset,
        test=split.test,
        probabilities=evaluation.probabilities,
    )
    seconds = [sum(epoch.seconds for epoch in model.history) for model in models]
    tested = np.concatenate([each.tested for each in evaluations])
    accepted = np.concatenate([each.accepted for each in evaluations])
    report = RecognitionReport(
        file=MODEL_FILES[backbone],
        command=origin.command,
        machine=origin.machine,
        commit=origin.commit,
        training_seconds=seconds,
        training_images_per_second=sum(epoch.images for epoch in exported.history) / max(seconds[0], 1e-9),
        lfw=dataset.is_lfw(),
        data=data | {"crops": describe_crops(dataset, options, cropper)},
        unknown_source=split.unknown_source,
        metadata=metadata,
        metrics=evaluation.metrics,
        folds=[each.metrics for each in evaluations],
        conditions=errors_by_condition(dataset, tested, accepted),
        mistakes=evaluation.mistakes,
        skipped=dataset.skipped,
        parity=parity,
        history=exported.history,
        pretraining=exported.pretraining,
    )
    report.write(options.publishing.output)
    plots = draw_run(
        dataset,
        split,
        augment=training_inputs if exported.pretraining else augment,
        pretraining=exported.pretraining,
        history=exported.history,
        evaluation=evaluation,
    )
    save_plots(plots, options.publishing.images / ("accurate" if backbone == "dlib-resnet" else ""))
    return dict(report.summary())


def export(
    model: TrainedModel,
    metadata: RecognizerMetadata,
    output: Path,
    *,
    dataset: FaceDataset,
    test: Indices,
    probabilities: Floats,
) -> Parity:
    """Write the model file and its checksum, if ONNX Runtime answers like PyTorch on every test image.

    Args:
        model: the trained model.
        metadata: goes into the file.
        output: folder of the file.
        dataset: the crops.
        test: the test images.
        probabilities: float32 `[N, P]`, PyTorch's answers on them.

    Raises:
        ExportError: the answers differ. Files that were in place before are left as they are.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=output) as folder:
        path = Path(folder) / MODEL_FILES[metadata.backbone]
        write_onnx(
            RecognizerGraph(model.network.cpu(), model.directions, temperature=metadata.temperature).eval(),
            torch.zeros(2, metadata.crop_size, metadata.crop_size, 3, dtype=torch.uint8),
            path,
            input_name=RECOGNIZER_INPUTS[0].name,
            output_names=[output.name for output in RECOGNIZER_OUTPUTS],
            dynamic_axes={0: torch.export.Dim("batch")},
            metadata=metadata,
        )
        recognizer = FaceRecognizer.load(path, threads=torch.get_num_threads())
        parity = measure_parity(recognizer, dataset, test, probabilities)
        if parity.equal < parity.compared or parity.largest_difference > MAX_PROBABILITY_DIFFERENCE:
            raise ExportError(f"the exported file doesn't answer like the network: {parity}. It is not put in place.")
        for part in (path, checksum_path(path)):
            part.replace(output / part.name)
    return parity


def embedding_id(network: EmbeddingNetwork, alignment: Alignment | None) -> str:
    """SHA-256 in hexadecimal of all that decides the embedding of a face: the weights and the alignment."""
    digest = hashlib.sha256(alignment.model_dump_json().encode() if alignment else b"")
    for name, weights in network.state_dict().items():
        digest.update(name.encode() + weights.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def measure_parity(recognizer: FaceRecognizer, dataset: FaceDataset, indices: Indices, probabilities: Floats) -> Parity:
    """Compare the file's most probable people and probabilities with `probabilities`, float32 `[N, P]`."""
    chunks: Sequence[Indices] = np.array_split(indices, max(1, len(indices) // 32))
    exported = np.concatenate([recognizer.recognize(dataset.crops[chunk]).probabilities for chunk in chunks])
    return Parity(
        compared=len(indices),
        equal=int((exported.argmax(axis=1) == probabilities.argmax(axis=1)).sum()),
        largest_difference=float(np.abs(exported - probabilities).max()),
    )


def describe_crops(dataset: FaceDataset, options: RecognizerOptions, cropper: PictureCropper) -> str:
    """What training and evaluation cut out of the pictures, in words."""
    crops = "the centre of each picture"
    if options.data.crop_mode == "detect":
        crops = (
            f"the most prominent face that {options.data.detector.name} finds in each picture; "
            f"the centre of {len(dataset.without_face):,} pictures, in which it finds none"
        )
    if not cropper.cropper.alignment:
        return crops
    without_points = int(np.isnan(dataset.landmarks[:, 0, 0]).sum())
    return (
        f"{crops}; aligned by the five points that {options.data.landmarks.name} finds, or by the face's square "
        f"in the {without_points:,} pictures in which these can't be a face's"
    )
