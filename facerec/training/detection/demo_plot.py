"""A composed scene with the answers drawn over it: what detector and recognizer make of a photo together."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D
from PIL import Image

from facerec.inference.cropping import Face, crop_face
from facerec.inference.detector import FaceDetector
from facerec.inference.recognizer import Recognizer
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import Pixels, face_free
from facerec.training.detection.compositing import Canvas, cut_out
from facerec.training.split import Split

SIDE = 900
KNOWN, STRANGERS = 5, 3


def draw_photo(
    detector: FaceDetector, recognizer: Recognizer, dataset: FaceDataset, split: Split, *, seed: int
) -> Figure:
    """Test images of known people among strangers, pasted into one picture, with the boxes and names that are found."""
    random = np.random.default_rng(seed)
    picture = Image.fromarray(_group(dataset, split, random))
    detected = detector.detect(picture)
    figure = Figure(figsize=(9, 5.6))
    axes = figure.subplots()
    axes.imshow(picture)
    axes.set_axis_off()
    if detected:
        recognized = recognizer.recognize(np.stack([crop_face(picture, face) for face in detected]))
        for face, similarities in zip(detected, recognized.similarities, strict=True):
            known = similarities.max() >= recognizer.metadata.threshold
            colour = "lime" if known else "orange"
            name = recognizer.metadata.people[similarities.argmax()].name.replace("_", " ") if known else "not known"
            half = face.size / 2
            turned = Affine2D().rotate_around(face.x, face.y, face.angle) + axes.transData
            box = Rectangle((face.x - half, face.y - half), face.size, face.size, fill=False, lw=2, ec=colour)
            box.set_transform(turned)
            axes.add_patch(box)
            axes.text(
                face.x, face.y + 0.72 * face.size, f"{name}\nsimilarity {similarities.max():.2f}",
                ha="center", va="top", fontsize=8, color="white", bbox={"fc": "black", "ec": colour, "alpha": 0.7},
            )  # fmt: skip
    axes.set_title("A composed scene: known people's test images and strangers, detected and named", fontsize=10)
    return figure


def _group(dataset: FaceDataset, split: Split, random: np.random.Generator) -> Pixels:
    """Two rows of crops in several sizes and angles over a picture without a face, uint8 `[H, W, 3]`."""
    people = random.permutation(len(split.people))[:KNOWN]
    shown = [int(random.choice(split.test[split.labels[split.test] == person])) for person in people]
    shown += random.permutation(split.unknown_test)[:STRANGERS].tolist()
    background = face_free(dataset, split.unknown_test, side=320, random=random).resize((SIDE, SIDE))
    canvas = Canvas(np.array(background)[: SIDE * 6 // 10])
    places = [(x, y) for y in (0.26, 0.74) for x in (0.14, 0.38, 0.62, 0.86)]
    for image, (x, y) in zip(random.permutation(shown).tolist(), places, strict=False):
        crop = np.asarray(dataset.crops[image])
        left, top = random.normal((x * SIDE, y * SIDE * 0.6), 10)
        face = Face(left, top, random.uniform(60, 110), random.normal(0, 0.15), 1)
        canvas.paste(crop, cut_out(crop, random), face)
    return canvas.picture
