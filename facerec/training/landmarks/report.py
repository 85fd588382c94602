"""The written results of a run: `face_landmarks.json` for programs, the model card `face_landmarks.md` for people."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from facerec.inference.model_file import LANDMARKS_FILE, LandmarkMetadata
from facerec.training.landmarks.evaluate import SMALL_PIXELS, TURNED_DEGREES, LandmarkMetrics, PointErrors
from facerec.training.landmarks.labels import LabelledFaces
from facerec.training.model_card import render_card, write_results
from facerec.training.onnx_export import Parity

CARD_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")


@dataclass(frozen=True)
class LabelCounts:
    """Numbers of pictures by what became of them.

    Attributes:
        faces: labelled faces.
        unsteady: labelled faces whose label changes with dlib's box, see `labels.MAX_SPREAD`. They are not trained on.
        without_face: pictures in which the detector found no face.
        implausible: pictures in which dlib's points can't be those of a face.
    """

    faces: int
    unsteady: int
    without_face: int
    implausible: int

    @classmethod
    def of(cls, faces: LabelledFaces) -> Self:
        """Count."""
        unsteady = len(faces.faces) - len(faces.steady().faces)
        return cls(len(faces.faces), unsteady, faces.without_face, faces.implausible)

    def __str__(self) -> str:
        return (
            f"{self.faces:,} faces, of which {self.unsteady:,} with unsteady points; further pictures: "
            f"{self.without_face:,} without a detected face, {self.implausible:,} where dlib's points are not plausible"
        )


@dataclass(frozen=True)
class LandmarkReport:
    """A run and its metrics.

    Attributes:
        command: the command line of the run.
        machine: the machine in words.
        commit: version of the code, if it ran from a git repository.
        detector: SHA-256 of the face detector's file.
        file_bytes: size of the model file.
        metadata: of the exported file.
        labels: what became of the pictures for training, validation and test.
        metrics: of the exported network.
        parity: of the exported file and the network.
    """

    command: str
    machine: str
    commit: str | None
    detector: str
    file_bytes: int
    metadata: LandmarkMetadata
    labels: dict[str, LabelCounts]
    metrics: LandmarkMetrics
    parity: Parity

    def write(self, output: Path) -> None:
        """Write `face_landmarks.json` and the model card to the folder `output`."""
        card = render_card(CARD_TEMPLATE, {"report": self, "summary": self.summary()})
        write_results(output / LANDMARKS_FILE, asdict(self), self.metadata, card)

    def summary(self) -> list[tuple[str, str]]:
        """Names and values of the metrics in words."""
        metrics = self.metrics
        return [
            ("error on validation pictures", _describe(metrics.validation)),
            ("error on test pictures", _describe(metrics.test)),
            (f"the same, turned by {TURNED_DEGREES} degrees", _describe(metrics.turned)),
            (f"the same, faces of {SMALL_PIXELS} pixels", _describe(metrics.small)),
            ("error of a mean face's points on test pictures", f"mean {metrics.mean_points_error:.2%}"),
            ("scatter of dlib's own points on test pictures", f"{metrics.label_spread:.2%}"),
            ("time of a face with its crop, one thread", f"{metrics.milliseconds:.2f} ms"),
            (
                "ONNX Runtime against PyTorch",
                f"{self.parity.equal} of {self.parity.compared} faces the same, coordinates within "
                f"{self.parity.largest_difference:.1e} sides of the face's square",
            ),
            ("file", f"{self.file_bytes / 1e6:.2f} MB"),
        ]


def _describe(errors: PointErrors) -> str:
    text = f"mean {errors.mean:.2%}, 95th percentile {errors.percentile_95:.2%}"
    text += f"; {errors.implausible.count} of {errors.implausible.total:,} faces with implausible points"
    return text + (f"; {errors.not_found} faces not found" if errors.not_found else "")
