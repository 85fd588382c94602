"""Calibrate a trained network and measure it on images that chose nothing."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import Tensor

from facerec.inference.model_file import Person
from facerec.training.dataset import FaceDataset
from facerec.training.metrics import (
    Floats,
    Labels,
    Proportion,
    detection_and_identification,
    expected_calibration_error,
    known_against_unknown,
    recalls_by_person,
    top_k,
)
from facerec.training.options import Options
from facerec.training.recognition.calibrate import choose_threshold, fit_temperature
from facerec.training.recognition.network import FaceNetwork
from facerec.training.recognition.steps import similarities_to
from facerec.training.split import Indices, Split


@dataclass(frozen=True)
class RecognitionMetrics:
    """What `model/report.json` says under `metrics`. All on the test images, or the test half of the unknown.

    Attributes:
        top_1: named rightly.
        top_1_centred: named rightly where the picture's centre is the crop, whatever was found in it.
        top_5: among the five most probable.
        macro_recall: mean over people of the share of their images that were named rightly.
        macro_recall_low: lower end of its 95 % interval, by bootstrap over people.
        macro_recall_high: upper end.
        ece: expected calibration error of the probabilities.
        ece_uncalibrated: the same with the training softmax's temperature.
        dir_at_far_1: named rightly and above the threshold that 1 % of the strangers pass.
        dir_at_far_10: the same for 10 %.
        auroc: of the highest similarity, known people against unknown.
        accepted_unknown: strangers that pass the exported threshold.
        accepted_known: known people's images named rightly and above the exported threshold.
    """

    top_1: Proportion
    top_1_centred: Proportion
    top_5: Proportion
    macro_recall: float
    macro_recall_low: float
    macro_recall_high: float
    ece: float
    ece_uncalibrated: float
    dir_at_far_1: Proportion
    dir_at_far_10: Proportion
    auroc: float
    accepted_unknown: Proportion
    accepted_known: Proportion

    def values(self) -> dict[str, float]:
        """Each figure as one number."""
        return {name: value.value if isinstance(value, Proportion) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Evaluation:
    """A calibrated network's answers on images that it was not trained on, and what they amount to.

    Attributes:
        temperature: chosen on the validation images.
        threshold: chosen on the first half of the unknown.
        chosen_false_accept_rate: share of that half which passes the threshold.
        metrics: on images that chose nothing.
        recalls: per person, in the order of the classes.
        people: the known people as the model file lists them.
        mistakes: test images that were named wrongly: `picture` and `answer`.
        labels: int64 `[N]`, of the test images.
        similarities: float32 `[N, P]`, of the test images.
        probabilities: float32 `[N, P]`, of the test images.
        unknown: float32 `[M, P]`, similarities of the test half of the unknown.
    """

    temperature: float
    threshold: float
    chosen_false_accept_rate: float
    metrics: RecognitionMetrics
    recalls: list[Proportion]
    people: list[Person]
    mistakes: list[dict[str, str]]
    labels: Labels
    similarities: Floats
    probabilities: Floats
    unknown: Floats


def evaluate(
    network: FaceNetwork, dataset: FaceDataset, centred: FaceDataset, split: Split, options: Options
) -> Evaluation:
    """Choose temperature and threshold on the images that are there to choose them, then measure on the others.

    `centred` are the pictures of `faces`, cropped by their centres.
    """
    validation, test = (_similarities(network, dataset, split, images) for images in (split.validation, split.test))
    chosen, unseen = (
        _to_others(_similarities(network, dataset, split, images), split.labels[images])
        for images in (split.unknown_validation, split.unknown_test)
    )
    temperature = fit_temperature(
        validation, torch.from_numpy(split.labels[split.validation]), lowest=1 / options.scale
    )
    threshold = choose_threshold(chosen, false_accept_rate=options.false_accept_rate)

    labels = split.labels[split.test]
    similarities, unknown = test.numpy(), unseen.numpy()
    probabilities = torch.softmax(test / temperature, dim=1).numpy()
    uncalibrated = torch.softmax(test * options.scale, dim=1).numpy()
    recalls = recalls_by_person(similarities, labels)
    recall_values = np.array([recall.value for recall in recalls])
    interval = bootstrap(
        (recall_values,), np.mean, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    right = similarities.argmax(axis=1) == labels
    metrics = RecognitionMetrics(
        top_1=top_k(similarities, labels, 1),
        top_1_centred=top_k(_similarities(network, centred, split, split.test).numpy(), labels, 1),
        top_5=top_k(similarities, labels, 5),
        macro_recall=float(recall_values.mean()),
        macro_recall_low=float(interval.low),
        macro_recall_high=float(interval.high),
        ece=expected_calibration_error(probabilities, labels),
        ece_uncalibrated=expected_calibration_error(uncalibrated, labels),
        dir_at_far_1=detection_and_identification(similarities, labels, unknown, false_accept_rate=0.01),
        dir_at_far_10=detection_and_identification(similarities, labels, unknown, false_accept_rate=0.1),
        auroc=known_against_unknown(similarities, unknown),
        accepted_unknown=Proportion.from_hits(unknown.max(axis=1) >= threshold),
        accepted_known=Proportion.from_hits(right & (similarities.max(axis=1) >= threshold)),
    )
    return Evaluation(
        temperature=temperature,
        threshold=threshold,
        chosen_false_accept_rate=float((chosen.max(dim=1).values >= threshold).double().mean()),
        metrics=metrics,
        recalls=recalls,
        people=[
            Person(
                name=name,
                training_images=trained,
                test_images=recall.total,
                test_recall=recall.value,
            )
            for name, recall, trained in zip(split.people, recalls, split.counts(split.train).tolist(), strict=True)
        ],
        mistakes=[
            {"picture": dataset.paths[image], "answer": split.people[answer]}
            for image, answer in zip(split.test[~right], similarities.argmax(axis=1)[~right], strict=True)
        ],
        labels=labels,
        similarities=similarities,
        probabilities=probabilities,
        unknown=unknown,
    )


def _similarities(network: FaceNetwork, dataset: FaceDataset, split: Split, indices: Indices) -> Tensor:
    return similarities_to(len(split.people), network, dataset, indices)


def _to_others(similarities: Tensor, labels: Labels) -> Tensor:
    """`similarities` `[N, P]` without those of known people to themselves (-1), so that they can play unknown."""
    people = similarities.shape[1]
    own = torch.from_numpy(labels)[:, None] == torch.arange(people)
    return similarities.masked_fill(own, -1)
