"""A plot of a synthetic scene on which detector and recognizer are run together."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.croppers import cropper_of
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import Pixels, face_free_background
from facerec.training.detection.compositing import Canvas, random_alpha_mask
from facerec.training.split import Split

SCENE_WIDTH_PIXELS = 900
"""Width of the scene in pixels. Its height is 60 % of it."""
KNOWN_PEOPLE_COUNT = 5
"""Number of known people in the scene."""
UNKNOWN_PEOPLE_COUNT = 3
"""Number of unknown people in the scene."""


def draw_demo_scene(
    detector: FaceDetector, recognizer: FaceRecognizer, dataset: FaceDataset, split: Split, *, seed: int
) -> Figure:
    """Plot a synthetic scene with a box, a name and a similarity for each detected face.

    Args:
        detector: detects the faces.
        recognizer: names the faces whose highest similarity reaches its threshold.
        dataset: the crops.
        split: the split that both models were trained with. The scene shows test images of known people, and unknown
            people who didn't choose the threshold.
        seed: decides the scene.
    """
    random = np.random.default_rng(seed)
    picture = Image.fromarray(_compose_demo_scene(dataset, split, random))
    detected = detector.detect(picture)
    figure = Figure(figsize=(9, 5.6))
    axes = figure.subplots()
    axes.imshow(picture)
    axes.set_axis_off()
    if detected:
        cropper = cropper_of(recognizer)
        recognized = recognizer.recognize(np.stack([cropper.crop_face(picture, face).crop for face in detected]))
        for face, similarities in zip(detected, recognized.similarities, strict=True):
            known = similarities.max() >= recognizer.metadata.threshold
            colour = "lime" if known else "orange"
            name = recognizer.metadata.people[similarities.argmax()].name.replace("_", " ") if known else "unknown"
            half = face.size / 2
            rotation = Affine2D().rotate_around(face.x, face.y, face.angle) + axes.transData
            box = Rectangle((face.x - half, face.y - half), face.size, face.size, fill=False, lw=2, ec=colour)
            box.set_transform(rotation)
            axes.add_patch(box)
            axes.text(
                face.x, face.y + 0.72 * face.size, f"{name}\nsimilarity {similarities.max():.2f}",
                ha="center", va="top", fontsize=8, color="white", bbox={"fc": "black", "ec": colour, "alpha": 0.7},
            )  # fmt: skip
    axes.set_title("A synthetic scene of known and unknown people, detected and named", fontsize=10)
    return figure


def _compose_demo_scene(dataset: FaceDataset, split: Split, random: np.random.Generator) -> Pixels:
    """Compose two rows of faces in random order, size and angle over a background, uint8 `[540, 900, 3]`, RGB."""
    people = random.permutation(len(split.people))[:KNOWN_PEOPLE_COUNT]
    shown = [int(random.choice(split.test[split.labels[split.test] == person])) for person in people]
    shown += random.permutation(split.unknown_test)[:UNKNOWN_PEOPLE_COUNT].tolist()
    background = face_free_background(dataset, split.unknown_test, side=320, random=random)
    resized = background.resize((SCENE_WIDTH_PIXELS, SCENE_WIDTH_PIXELS))
    canvas = Canvas(np.array(resized)[: SCENE_WIDTH_PIXELS * 6 // 10])
    centres = [(x, y) for y in (0.26, 0.74) for x in (0.14, 0.38, 0.62, 0.86)]  # fractions of width and height
    for index, (x, y) in zip(random.permutation(shown).tolist(), centres, strict=False):
        crop = np.asarray(dataset.crops[index])
        face_x, face_y = random.normal((x * SCENE_WIDTH_PIXELS, y * SCENE_WIDTH_PIXELS * 0.6), 10)
        face = Face(face_x, face_y, random.uniform(60, 110), random.normal(0, 0.15), 1)
        canvas.paste(crop, random_alpha_mask(crop, random), face)
    return canvas.picture
