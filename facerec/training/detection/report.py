"""The written results of a run: `face_detector.json` for programs, and the model card `face_detector.md` for people."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facerec.inference.model_file import DETECTOR_FILE, DetectorMetadata
from facerec.training.detection.evaluate import SCENE_COUNT, SINGLE_FACE_SCENE_COUNT, DetectionMetrics
from facerec.training.detection.matching import RECALL_FACE_MIN_PIXELS
from facerec.training.metrics import Proportion
from facerec.training.model_card import render_card, write_results
from facerec.training.onnx_export import Parity

CARD_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")


@dataclass(frozen=True)
class DetectionReport:
    """A run and its metrics.

    Attributes:
        command: the command line of the run.
        machine: the machine in words.
        commit: version of the code, if it ran from a git repository.
        file_bytes: size of the model file.
        metadata: of the exported file.
        metrics: of the exported network.
        parity: of the exported file and the network.
    """

    command: str
    machine: str
    commit: str | None
    file_bytes: int
    metadata: DetectorMetadata
    metrics: DetectionMetrics
    parity: Parity

    def write(self, output: Path) -> None:
        """Write `face_detector.json` and the model card to the folder `output`."""
        write_results(output / DETECTOR_FILE, asdict(self), self.metadata, self.card())

    def summary(self) -> list[tuple[str, str]]:
        """Names and values of the metrics in words."""
        metrics = self.metrics
        single = f"single faces found, {SINGLE_FACE_SCENE_COUNT} of each"
        return [
            (f"faces of {RECALL_FACE_MIN_PIXELS} pixels and more found in synthetic scenes", str(metrics.recall)),
            ("detections there that are faces; false ones of any size count", str(metrics.precision)),
            ("pictures without a face in which one was detected", str(metrics.face_free)),
            ("pictures of known people in which the face in the middle was found", str(metrics.photos)),
            (f"{single} angle", _list(metrics.turned, "degrees")),
            (f"{single} size", _list(metrics.sized, "pixels")),
            ("error of the centre, 95th percentile", f"{metrics.centre_error:.1%} of the face's size"),
            ("error of the size, 95th percentile", f"{np.expm1(metrics.size_error):.1%}"),
            ("error of the angle, 95th percentile", f"{metrics.angle_error:.1f} degrees"),
            ("median time in a picture of 250 x 250 pixels, one thread", f"{metrics.milliseconds:.2f} ms"),
            (
                "ONNX Runtime against PyTorch",
                f"{self.parity.equal} of {self.parity.compared} faces the same, coordinates within "
                f"{self.parity.largest_difference:.1e} pixels",
            ),
            ("file", f"{self.file_bytes / 1e6:.2f} MB"),
        ]

    def card(self) -> str:
        """The model card in Markdown."""
        values = {
            "report": self,
            "metadata": self.metadata,
            "summary": self.summary(),
            "scene_count": SCENE_COUNT,
        }
        return render_card(CARD_TEMPLATE, values)


def _list(proportions: dict[int, Proportion], unit: str) -> str:
    return ", ".join(f"{number} {unit} {proportion.value:.0%}" for number, proportion in proportions.items())
