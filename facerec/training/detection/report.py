"""The detector's metrics in words, and its model card."""

import numpy as np

from facerec.inference.detector import LOW, SURE
from facerec.inference.model_file import DetectorMetadata
from facerec.training.detection.evaluate import PICTURES, SINGLE_FACE_SCENES, DetectionMetrics
from facerec.training.detection.matching import SMALLEST
from facerec.training.metrics import Proportion


def in_words(metrics: DetectionMetrics) -> dict[str, str]:
    """The metrics in words, each with its value, count and interval."""
    return {
        f"faces of {SMALLEST} pixels and more found in synthetic scenes": str(metrics.recall),
        "detected faces there that are faces; false ones of any size count": str(metrics.precision),
        "composed pictures without a face in which one was detected": str(metrics.face_free),
        "test images named rightly, cropped by their centre": str(metrics.centre),
        "test images named rightly, cropped by the detector": str(metrics.auto),
        "test images in larger composed pictures named rightly": str(metrics.scenes),
        f"the only face of a picture found, {SINGLE_FACE_SCENES} of each: turned by": _listed(
            metrics.turned, "degrees"
        ),
        f"the only face of a picture found, {SINGLE_FACE_SCENES} of each: of": _listed(metrics.sized, "pixels"),
        "off in place, 95th percentile": f"{metrics.centre_error:.1%} of the face's size",
        "off in size, 95th percentile": f"{np.expm1(metrics.size_error):.1%}",
        "off in angle, 95th percentile": f"{metrics.angle_error:.1f} degrees",
        "time at 320 x 320 pixels, one thread": f"{metrics.time_ratio:.2f} times that of one recognition",
    }


def _listed(proportions: dict[int, Proportion], unit: str) -> str:
    return ", ".join(f"{number} {unit} {proportion.value:.0%}" for number, proportion in proportions.items())


def card(metadata: DetectorMetadata, words: dict[str, str], *, command: str, machine: str) -> str:
    """The detector's card in Markdown."""
    metrics = "\n".join(f"| {name} | {value} |" for name, value in words.items())
    return f"""\
# Model card: `face_detector.onnx`

Finds the faces in a photo, so that `face_recognition.onnx` can name them. The first 14 blocks of MobileNetV3-Large, a
feature pyramid and a heat map of face centres (CenterNet, arXiv:1904.07850), with non-maximum suppression in the graph.
Made on {metadata.created:%Y-%m-%d} by version {metadata.version} of this project with

    {command}

on {machine}. This page and `face_detector.json`, which holds the same metrics for programs, come from it.

## Input and output

| tensor | type and shape | what |
|---|---|---|
| `image` | uint8 `[H, W, 3]` | an upright RGB picture of at most {metadata.long_side} pixels, sides multiples of 32 |
| `faces` | float32 `[K, 5]` | x, y, size, angle, score: centre and side of the square in pixels, radians, 0 to 1 |

What scores under **{metadata.threshold:.3f}** is no face. What scores from {LOW} to {SURE} is cut out and looked at
again, closer; its score is then the mean of both. The square is the one that Labeled Faces in the Wild puts in the
middle of its crops: eyebrows to chin, cheek to cheek.

## Metrics

On strangers' crops and known people's test images that it never learned from. Synthetic scenes are composed of crops at
random place, size and angle, {PICTURES} of them, over backgrounds like those of training but for the pieces of faces;
proportions have their counts and Wilson's 95 % interval. What is detected in the surroundings of a pasted face, from
three quarters of its size on, is neither right nor wrong, as a stranger in the background may be there whom nobody
labelled: false finds on hair, hands and clothes are therefore missing from these metrics.

| figure | value |
|---|---|
{metrics}

## How it learned

From the crops of people who are neither known nor strangers, each of which has a face at a known place: pasted into
pictures at random size, angle and light, one to many, over one another, in front of anything that is no face: borders
of crops, textures, drawn things, single eyes and mouths, faces cut into squares in the wrong order. Faces in the
background of a crop, which nobody labelled, are not rewarded, and not punished once they are found. The first half of
the strangers chose the threshold; which share of them it must find, and how the score of small faces falls, was settled
after a look at the metrics of the other half.

## Limits of use

- It knows faces as its training pictures show them, which in Labeled Faces in the Wild are those that a detector of
  2004 found in press photographs: mostly frontal. Profiles, masks and large sunglasses are found less often or not at
  all, nor are faces that are turned far or upside down: the metrics say how often.
- A photo is shrunk to {metadata.long_side} pixels on its long side. How small a face may be after that is among the
  metrics; in a photo of 4,000 pixels it measures {4000 / metadata.long_side:.0f} times that.
- Synthetic scenes are not photos: the metrics above say how it does on them, not how it does on yours.
- For groups that the data hardly holds (children, old people, dark skin) nobody has measured it.

## Licence of the weights

The network {metadata.licence}.
"""
