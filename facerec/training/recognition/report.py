"""The written results of a run: a report for programs, and the model card for people."""

from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from facerec.inference.model_file import RecognizerMetadata
from facerec.training.metrics import Proportion, single_numbers
from facerec.training.model_card import render_card, write_results
from facerec.training.onnx_export import Parity
from facerec.training.recognition.conditions import ConditionError
from facerec.training.recognition.evaluate import RecognitionMetrics
from facerec.training.recognition.new_people import NewPeopleMetrics
from facerec.training.recognition.trained_model import EpochStats, PretrainingEpoch

CARD_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
GALLERIES_TEMPLATE = CARD_TEMPLATE.with_name("galleries.md.jinja")
"""The section of the card on `RecognitionMetrics.galleries`. It needs `metadata`, `galleries` and
`new_people_trained_on`, whether the network was trained before there were new people."""

FOLD_COLUMNS = {
    "top-1": "top_1",
    "top-1, mode `centre`": "top_1_centred",
    "macro recall": "macro_recall",
    "DIR at FAR 1 %": "dir_at_far_1",
    "DIR at FAR 10 %": "dir_at_far_10",
    "unknown accepted": "accepted_unknown",
    "ECE": "ece",
}
"""The metrics in the card's table of folds, by their title."""


@dataclass(frozen=True)
class RecognitionReport:
    """A run and its metrics. Fractions are on a scale of 0 to 1, times in seconds.

    Attributes:
        file: name of the model file.
        command: the command line of the run.
        machine: the machine in words.
        commit: version of the code, if it ran from a git repository.
        training_seconds: duration of each fold's epochs with their validation, over all sessions of a resumed run.
        training_images_per_second: of the exported network, fold 0. 0 if nothing was trained.
        lfw: whether the data set is Labeled Faces in the Wild.
        data: the data set and its split in words.
        unknown_source: who the unknown people are, in words.
        metadata: of the exported file.
        metrics: of the exported network.
        folds: metrics of the network of each fold. The first is the exported one.
        conditions: errors on the test images of all folds by the conditions of the picture.
        mistakes: `picture` and `answer` of each test image that the exported network names wrongly.
        skipped: why a file or folder of the data set is left out, by path.
        parity: of the exported file and the network.
        history: the epochs of the exported network.
        pretraining: the epochs before those, in which a teacher taught alone. All folds share them.
    """

    file: str
    command: str
    machine: str
    commit: str | None
    training_seconds: list[float]
    training_images_per_second: float
    lfw: bool
    data: dict[str, JsonValue]
    unknown_source: str
    metadata: RecognizerMetadata
    metrics: RecognitionMetrics
    folds: list[RecognitionMetrics]
    conditions: list[ConditionError]
    mistakes: list[dict[str, str]]
    skipped: dict[str, str]
    parity: Parity
    history: list[EpochStats]
    pretraining: list[PretrainingEpoch] = field(default_factory=list)

    def write(self, output: Path) -> None:
        """Write the report and the model card to the folder `output`. They have the model file's name."""
        write_results(output / self.file, asdict(self), self.metadata, self.card())

    def summary(self) -> list[tuple[str, str]]:
        """Names and values of the metrics in words."""
        metrics = self.metrics
        return [
            ("top-1", str(metrics.top_1)),
            ("top-1 in the crop mode `centre`", str(metrics.top_1_centred)),
            ("top-5", str(metrics.top_5)),
            (
                "macro recall",
                f"{metrics.macro_recall:.2%} (95 % interval {metrics.macro_recall_low:.2%} to "
                f"{metrics.macro_recall_high:.2%}, over {len(self.metadata.people)} people)",
            ),
            ("DIR at FAR 1 %", str(metrics.dir_at_far_1)),
            ("DIR at FAR 10 %", str(metrics.dir_at_far_10)),
            ("AUROC, known against unknown people", f"{metrics.auroc:.4f}"),
            (
                f"unknown people accepted at the threshold {self.metadata.threshold:.3f}",
                str(metrics.accepted_unknown),
            ),
            ("known people named correctly and accepted there", str(metrics.accepted_known)),
            ("ECE before calibration", f"{metrics.ece_uncalibrated:.2%}"),
            ("ECE after calibration", f"{metrics.ece:.2%}"),
            ("mean similarity of known people to themselves", f"{metrics.similarity_own:.3f}"),
            ("mean highest similarity of unknown people", f"{metrics.similarity_unknown:.3f}"),
            (
                "ONNX Runtime against PyTorch",
                f"same answer on {self.parity.equal} of {self.parity.compared} test images, probabilities within "
                f"{self.parity.largest_difference:.1e}",
            ),
        ]

    def card(self) -> str:
        """The model card in Markdown."""
        rows = [[single_numbers(fold)[name] for name in FOLD_COLUMNS.values()] for fold in self.folds]
        pooled = {
            title: Proportion.pooled([getattr(fold, name) for fold in self.folds])
            for title, name in FOLD_COLUMNS.items()
            if isinstance(getattr(self.metrics, name), Proportion) and name != "accepted_unknown"
        }
        values = {
            "report": self,
            "metadata": self.metadata,
            "people": self.metadata.people,
            "summary": self.summary(),
            "fold_columns": list(FOLD_COLUMNS),
            "fold_rows": [*enumerate(rows), ("**mean**", np.mean(rows, axis=0).tolist())],
            "pooled": pooled.items(),
            "new_people": self._new_people(),
            "galleries": self.metrics.galleries,
            "new_people_trained_on": False,
        }
        return render_card(CARD_TEMPLATE, values)

    def _new_people(self) -> list[NewPeopleMetrics]:
        """The metrics of the new people as means over the folds."""
        by_count = zip(*(fold.new_people for fold in self.folds), strict=True)
        return [NewPeopleMetrics(*np.mean([astuple(each) for each in folds], axis=0).tolist()) for folds in by_count]
