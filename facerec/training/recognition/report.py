"""What a run leaves in writing: `report.json` for programs and `README.md`, the model card, for people."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from facerec.inference.model_file import ModelMetadata
from facerec.training.atomic_write import replacing
from facerec.training.metrics import Proportion
from facerec.training.recognition.evaluate import RecognitionMetrics
from facerec.training.recognition.export import FILE_NAME, Parity
from facerec.training.recognition.fit import Epoch

REFERENCES = (
    ("pixels, 1-nearest-neighbour (at most 50 images a person)", "26.6 %", "Müller & Guido, 2016, chapter 3"),
    ("PCA-100 whitened + 1-nearest-neighbour (same)", "35.7 %", "the same"),
    ("ResNet18 fine-tuned", "93.06 %", "a student project"),
    ("MobileNetV3-Large + embedding head, best epoch of 10", "95.14 %", "on the split that also chose the epoch"),
)
LFW_LIMITS = """\
- In Labeled Faces in the Wild the known people are public figures of about 2002 to 2004 in press photographs, mostly
  frontal, most of them men and politicians.
"""
LFW_TERMS = """\
The pictures of Labeled Faces in the Wild belong to their owners and were collected for research; the project holds none
of them.
"""


@dataclass(frozen=True)
class Report:
    """A run and its metrics. Shares are of 1, times in seconds."""

    command: str
    machine: str
    training_seconds: list[float]
    """Of each fold's epochs with their validation, over all sessions of a resumed run."""
    training_images_per_second: float
    """Of the exported network, the first fold's."""
    lfw: bool
    """Whether the data set is Labeled Faces in the Wild."""
    data: dict[str, JsonValue]
    unknown_source: str
    """Who plays them."""
    metadata: ModelMetadata
    """What the exported file says of itself."""
    metrics: RecognitionMetrics
    """Of the exported network."""
    folds: list[RecognitionMetrics]
    """Of the network of each fold; the first is the exported one."""
    mistakes: list[dict[str, str]]
    parity: Parity
    best_epoch: int
    history: list[Epoch]

    def write(self, output: Path) -> None:
        """Write `report.json` and the model card to the folder `output`."""
        plain = asdict(self) | {"metadata": self.metadata.model_dump(mode="json")}
        with replacing(output / "report.json") as file:
            file.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        with replacing(output / "README.md") as file:
            file.write_text(self.card(), encoding="utf-8")

    def summary(self) -> list[tuple[str, str]]:
        """The metrics in words, each with its value, count and interval."""
        metrics = self.metrics
        return [
            ("top-1", str(metrics.top_1)),
            ("the same, cropped by the pictures' centres", str(metrics.top_1_centred)),
            ("top-5", str(metrics.top_5)),
            (
                "macro recall",
                f"{metrics.macro_recall:.2%} (95 % interval {metrics.macro_recall_low:.2%} to "
                f"{metrics.macro_recall_high:.2%}, over {len(self.metadata.people)} people)",
            ),
            ("DIR at FAR 1 %", str(metrics.dir_at_far_1)),
            ("DIR at FAR 10 %", str(metrics.dir_at_far_10)),
            ("AUROC, known against strangers", f"{metrics.auroc:.4f}"),
            (f"strangers accepted at the threshold {self.metadata.threshold:.3f}", str(metrics.accepted_unknown)),
            ("known people named rightly and accepted there", str(metrics.accepted_known)),
            ("ECE before calibration", f"{metrics.ece_uncalibrated:.2%}"),
            ("ECE after calibration", f"{metrics.ece:.2%}"),
            (
                "ONNX Runtime against PyTorch",
                f"same answer on {self.parity.same_top_1} of {self.parity.images} test images, probabilities within "
                f"{self.parity.largest_difference:.1e}",
            ),
        ]

    def card(self) -> str:
        """The model card in Markdown (Mitchell et al., 2019, arXiv:1810.03993)."""
        metadata, count = self.metadata, len(self.metadata.people)
        metrics = "\n".join(f"| {name} | {value} |" for name, value in self.summary())
        data = "\n".join(f"| {name} | {value} |" for name, value in self.data.items())
        people = "\n".join(
            f"| {person.name} | {person.training_images} | {person.test_images} | {person.test_recall:.1%} |"
            for person in metadata.people
        )
        mistakes = "\n".join(f"| {m['picture']} | {m['answer']} |" for m in self.mistakes) or "| none | |"
        return f"""\
# Model card: `{FILE_NAME}`

Recognizes {count} people in pictures of one face each, and says so when a face is somebody else's.
MobileNetV3-Large with an embedding head of {metadata.embedding_size} and a cosine-margin classifier, exported to
ONNX with its preprocessing and calibration. Made on {metadata.created:%Y-%m-%d} by version
{metadata.version} of this project with

    {self.command}

on {self.machine}. Training the exported network took {self.training_seconds[0] / 60:.0f} minutes
({self.training_images_per_second:.0f} images/s). This page and `report.json`, which holds the same metrics for
programs, are written by that command.

## Input and outputs

| tensor | type and shape | what |
|---|---|---|
| `images` | uint8 `[N, 250, 250, 3]` | upright RGB crops with the face in the middle, about 110 pixels high |
| `probabilities` | float32 `[N, {count}]` | calibrated: softmax of similarities / {metadata.temperature:.4f} |
| `similarities` | float32 `[N, {count}]` | cosine, -1 to 1 |
| `embeddings` | float32 `[N, {metadata.embedding_size}]` | L2-normalized |

A face whose highest similarity is under **{metadata.threshold:.3f}** is a stranger's.
{metadata.false_accept_rate:.2%} of the strangers that chose this threshold pass it.

## Metrics

On test images and strangers that chose nothing in this run: neither the epoch nor the temperature or the threshold.
Strangers are {self.unknown_source}.
Proportions have their counts and Wilson's 95 % interval.

| figure | value |
|---|---|
{metrics}

{self._folds()}{_references() if self.lfw else ""}## Data and protocol

| | |
|---|---|
{data}

Known people's images are split per person into train (70 %), validation (10 %: chooses the epoch and the temperature)
and test (20 %) by a seed. Other people are trained on as further classes, which the exported file leaves out. The
threshold is chosen on other images of strangers than it is tested on. Exported is epoch {self.best_epoch} of
{len(self.history)}: the latest whose validation accuracy lies in the 95 % interval of the highest.

## Limits of use

- It tells its own {count} people apart. It is not a general face embedding: new people are learned by
  training on their pictures.
- It was measured on crops that were cut like its training data (`crops` above). It does not look for faces itself,
  and doesn't say that a crop holds none.
{LFW_LIMITS if self.lfw else ""}\
- Recall differs between people (below). For groups that the data hardly holds nobody has measured it.
- At its threshold {self.metrics.accepted_unknown.value:.1%} of those who tested it ({self.unknown_source}) were
  taken for a known person. Don't decide on access, identity or anybody's rights with it alone, and recognize only
  people who agreed to it.

## Licence of the weights

The network {metadata.licence}.
{LFW_TERMS if self.lfw else ""}
## People

| person | training images | test images | test recall |
|---|---|---|---|
{people}

## Test images that it gets wrong

| picture | answer |
|---|---|
{mistakes}
"""

    def _folds(self) -> str:
        """A table of the folds and their mean; empty where there is only one."""
        if len(self.folds) == 1:
            return ""
        columns = {
            "top-1": "top_1",
            "cropped by centres": "top_1_centred",
            "macro recall": "macro_recall",
            "DIR at FAR 1 %": "dir_at_far_1",
            "DIR at FAR 10 %": "dir_at_far_10",
            "strangers accepted": "accepted_unknown",
            "ECE": "ece",
        }
        rows = [[fold.values()[figure] for figure in columns.values()] for fold in self.folds]
        table = "\n".join(
            f"| {name} | " + " | ".join(f"{value:.2%}" for value in row) + " |"
            for name, row in (*enumerate(rows), ("**mean**", np.mean(rows, axis=0)))
        )
        return f"""\
Of {len(self.folds)} networks trained alike, each on another split; over five, every image of a known person is tested
once. Fold 0 is the exported network. Together they took {sum(self.training_seconds) / 60:.0f} minutes to train.

| fold | {" | ".join(columns)} |
|---{"|---" * len(columns)}|
{table}

Over all their test images together: top-1 {Proportion.pooled([fold.top_1 for fold in self.folds])}, cropped by the
pictures' centres {Proportion.pooled([fold.top_1_centred for fold in self.folds])}, DIR at FAR 1 %
{Proportion.pooled([fold.dir_at_far_1 for fold in self.folds])}.

"""


def _references() -> str:
    """Others' accuracy on Labeled Faces in the Wild, as a part of the card."""
    rows = "\n".join(f"| {name} | {value} | {source} |" for name, value, source in REFERENCES)
    return f"""\
For comparison, top-1 of others on the people with 20 images or more:

| method | top-1 | source |
|---|---|---|
{rows}

"""
