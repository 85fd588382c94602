"""A trained network as the files that a service and its readers need."""

from datetime import UTC, datetime

from pydantic import JsonValue

from facerec import __version__
from facerec.inference.model_file import ModelMetadata
from facerec.training.dataset import FaceDataset
from facerec.training.licences import describe_start
from facerec.training.options import Options
from facerec.training.plots import save_plots
from facerec.training.recognition.evaluate import Evaluation
from facerec.training.recognition.export import export
from facerec.training.recognition.fit import Fitted
from facerec.training.recognition.plots import draw_run
from facerec.training.recognition.report import Report
from facerec.training.split import Split


def publish(
    fitted: list[Fitted],
    dataset: FaceDataset,
    split: Split,
    evaluations: list[Evaluation],
    options: Options,
    *,
    data: dict[str, JsonValue],
    command: str,
    machine: str,
) -> dict[str, str]:
    """Export the network of the first fold; write the report, the model card and the plots of the run.

    `fitted` and `evaluations` are those of each fold, `split` are the first one's.

    Returns:
        The test metrics in words.

    Raises:
        ExportError: ONNX Runtime doesn't answer like PyTorch. Files that were in place before are left as they are.
    """
    exported, evaluation = fitted[0], evaluations[0]
    metadata = ModelMetadata(
        version=__version__,
        created=datetime.now(UTC).replace(microsecond=0),
        people=tuple(evaluation.people),
        embedding_size=options.embedding_size,
        threshold=evaluation.threshold,
        false_accept_rate=evaluation.chosen_false_accept_rate,
        temperature=evaluation.temperature,
        metrics=evaluation.metrics.values(),
        configuration=options.recipe(),
        licence=describe_start(options.weights, licence=options.weights_licence),
    )
    parity = export(
        exported.network,
        metadata,
        options.output,
        dataset=dataset,
        test=split.test,
        probabilities=evaluation.probabilities,
    )
    seconds = [sum(epoch.seconds for epoch in each.history) for each in fitted]
    report = Report(
        command=command,
        machine=machine,
        training_seconds=seconds,
        training_images_per_second=sum(epoch.images for epoch in exported.history) / seconds[0],
        lfw=dataset.is_lfw(),
        data=data | {"crops": describe_crops(dataset, options)},
        unknown_source=split.unknown_source,
        metadata=metadata,
        metrics=evaluation.metrics,
        folds=[each.metrics for each in evaluations],
        mistakes=evaluation.mistakes,
        parity=parity,
        best_epoch=exported.best_epoch,
        history=exported.history,
    )
    report.write(options.output)
    plots = draw_run(dataset, split, history=exported.history, best_epoch=exported.best_epoch, evaluation=evaluation)
    save_plots(plots, options.images)
    return dict(report.summary())


def describe_crops(dataset: FaceDataset, options: Options) -> str:
    """What training and evaluation cut out of the pictures, in words."""
    if options.crop_mode == "centre":
        return "the centre of each picture"
    return (
        f"the most prominent face that {options.detector.name} finds in each picture; "
        f"the centre of {len(dataset.faceless):,} pictures, in which it finds none"
    )
