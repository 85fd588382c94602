"""Calibrate a trained network, and measure it on images that were not used to choose anything."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import bootstrap

from facerec.inference.face_cropper import FaceCropper
from facerec.inference.false_matches import FalseMatches
from facerec.inference.model_file import Person
from facerec.training.dataset import FaceDataset
from facerec.training.metrics import (
    Floats,
    Labels,
    Proportion,
    detection_and_identification,
    expected_calibration_error,
    known_unknown_auroc,
    recalls_by_person,
    top_k,
)
from facerec.training.recognition.calibrate import choose_threshold, fit_temperature
from facerec.training.recognition.embeddings import embed
from facerec.training.recognition.false_matches import (
    EnrolledPeople,
    GalleryMetrics,
    measure_false_matches,
    measure_galleries,
)
from facerec.training.recognition.new_people import NewPeopleMetrics, measure_new_people
from facerec.training.recognition.trained_model import TrainedModel
from facerec.training.split import Indices, Split


@dataclass(frozen=True)
class RecognitionMetrics:
    """The test metrics of a recognizer, on a scale of 0 to 1.

    They are measured on the test images of the known people, and on the images of `split.unknown_test`.

    Attributes:
        top_1: test images that are named correctly.
        top_1_centred: test images that are named correctly in the crop mode `centre`.
        top_5: test images whose person is among the five most probable.
        macro_recall: mean over the people of the fraction of their test images that are named correctly.
        macro_recall_low: lower end of its 95 % interval, by bootstrap over the people.
        macro_recall_high: upper end of that interval.
        ece: expected calibration error of the probabilities.
        ece_uncalibrated: the same with the temperature before calibration.
        dir_at_far_1: test images that are named correctly, above the threshold that 1 % of the unknown people exceed.
        dir_at_far_10: the same for 10 %.
        auroc: of the highest similarity as a test for known people.
        accepted_unknown: unknown people's images above the exported threshold.
        accepted_known: test images that are named correctly and above the exported threshold.
        similarity_own: mean similarity of test images to their own person.
        similarity_unknown: mean of the highest similarity of unknown people's images.
        new_people: how well people are recognized whom the network never saw, by the number of enrolled images.
        galleries: what galleries of new and other people accept. Empty if there are too few people to measure it.
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
    similarity_own: float
    similarity_unknown: float
    new_people: list[NewPeopleMetrics]
    galleries: list[GalleryMetrics]


@dataclass(frozen=True)
class Evaluation:
    """The answers of a calibrated network on images that it was not trained on, and their metrics.

    Attributes:
        temperature: of the calibrated softmax, chosen on the validation images.
        threshold: similarity below which a face belongs to nobody known, chosen on `split.unknown_validation`.
        validation_false_accept_rate: fraction of `split.unknown_validation` that the threshold accepts.
        false_matches: gives the thresholds of galleries, chosen on people who were never trained on.
        metrics: the test metrics.
        recalls: recall of each of the P people.
        people: the known people as the model file lists them.
        mistakes: `picture` and `answer` of each test image that is named wrongly.
        tested: int64 `[N]`, the test images.
        accepted: bool `[N]`, whether each is named correctly and accepted.
        labels: int64 `[N]`, classes of the test images.
        similarities: float32 `[N, P]`, of the test images.
        probabilities: float32 `[N, P]`, calibrated, of the test images.
        unknown: float32 `[M, P]`, similarities of `split.unknown_test`.
    """

    temperature: float
    threshold: float
    validation_false_accept_rate: float
    false_matches: FalseMatches | None
    metrics: RecognitionMetrics
    recalls: list[Proportion]
    people: list[Person]
    mistakes: list[dict[str, str]]
    tested: Indices
    accepted: NDArray[np.bool_]
    labels: Labels
    similarities: Floats
    probabilities: Floats
    unknown: Floats


def evaluate(
    model: TrainedModel,
    dataset: FaceDataset,
    pictures: FaceDataset,
    split: Split,
    *,
    cropper: FaceCropper,
    false_accept_rate: float,
) -> Evaluation:
    """Choose temperature and threshold on the validation images, then measure on the test images.

    Args:
        model: trained on this split.
        dataset: the crops.
        pictures: the centres of the same pictures.
        split: which images are used for what.
        cropper: makes the crops of the mode `centre` from the centres of the pictures.
        false_accept_rate: fraction of the unknown people that the threshold may accept, 0 to 1.
    """
    test = model.similarities(split.test)
    centred = np.stack([cropper.crop_centre(Image.fromarray(pictures.crops[image])).crop for image in split.test])
    centred_test = embed(model.network, centred, np.arange(len(centred))) @ model.directions.T
    unknown_validation, unknown_test = (
        model.similarities(indices) for indices in (split.unknown_validation, split.unknown_test)
    )
    temperature = fit_temperature(
        model.similarities(split.validation),
        torch.from_numpy(split.labels[split.validation]),
        min_temperature=model.softmax_temperature,
    )
    threshold = choose_threshold(unknown_validation, false_accept_rate=false_accept_rate)

    people = EnrolledPeople.of(split, dataset.identities, trained=model.is_trained)
    false_matches = measure_false_matches(
        model.embeddings,
        model.directions,
        split,
        people,
        identities=dataset.identities,
        false_accept_rate=false_accept_rate,
    )

    labels = split.labels[split.test]
    similarities, unknown = test.numpy(), unknown_test.numpy()
    probabilities = torch.softmax(test / temperature, dim=1).numpy()
    uncalibrated = torch.softmax(test / model.softmax_temperature, dim=1).numpy()
    recalls = recalls_by_person(similarities, labels)
    recall_values = np.array([recall.value for recall in recalls])
    interval = bootstrap(
        (recall_values,), np.mean, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    correct = similarities.argmax(axis=1) == labels
    accepted = correct & (similarities.max(axis=1) >= threshold)
    metrics = RecognitionMetrics(
        top_1=top_k(similarities, labels, 1),
        top_1_centred=top_k(centred_test.numpy(), labels, 1),
        top_5=top_k(similarities, labels, 5),
        macro_recall=float(recall_values.mean()),
        macro_recall_low=float(interval.low),
        macro_recall_high=float(interval.high),
        ece=expected_calibration_error(probabilities, labels),
        ece_uncalibrated=expected_calibration_error(uncalibrated, labels),
        dir_at_far_1=detection_and_identification(similarities, labels, unknown, false_accept_rate=0.01),
        dir_at_far_10=detection_and_identification(similarities, labels, unknown, false_accept_rate=0.1),
        auroc=known_unknown_auroc(similarities, unknown),
        accepted_unknown=Proportion.from_hits(unknown.max(axis=1) >= threshold),
        accepted_known=Proportion.from_hits(accepted),
        similarity_own=float(similarities[np.arange(len(labels)), labels].mean()),
        similarity_unknown=float(unknown.max(axis=1).mean()),
        new_people=measure_new_people(model, split),
        galleries=measure_galleries(
            model.embeddings, model.directions, split, people, false_matches, uncorrected=threshold
        ),
    )
    return Evaluation(
        temperature=temperature,
        threshold=threshold,
        false_matches=false_matches,
        validation_false_accept_rate=float((unknown_validation.max(dim=1).values >= threshold).double().mean()),
        metrics=metrics,
        recalls=recalls,
        people=[
            Person(name=name, training_images=trained, test_images=recall.total, test_recall=recall.value)
            for name, recall, trained in zip(split.people, recalls, split.counts(split.train).tolist(), strict=True)
        ],
        mistakes=[
            {"picture": dataset.paths[image], "answer": split.people[answer]}
            for image, answer in zip(split.test[~correct], similarities.argmax(axis=1)[~correct], strict=True)
        ],
        tested=split.test,
        accepted=accepted,
        labels=labels,
        similarities=similarities,
        probabilities=probabilities,
        unknown=unknown,
    )
