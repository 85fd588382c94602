"""How well unknown faces are put into groups, and what 100,000 of them take.

    uv run -m benchmarks.grouping                       about 25 minutes, later runs 5

Needs LFW. All choices are made with its background people and half of its people of one picture. Then the 48 new
people, mixed with 500 of the other half, are grouped once. Leaves `benchmarks/results/grouping.json` and the tables in
`benchmarks/README.md`, and the labels of the pictures in `data/`, for later runs.
"""

import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import tyro
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist
from sklearn.cluster import DBSCAN

from benchmarks.lfw import find_lfw
from benchmarks.results import publish, table
from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE, RECOGNIZER_FILE, RecognizerMetadata
from facerec.inference.recognizer import FaceRecognizer
from facerec.labelling.archive import People, label_archive
from facerec.labelling.clustering import Vectors, average_linkage, similar_pairs
from facerec.labelling.grouping import CHANCE_PAIR_RATE
from facerec.labelling.part_file import read_part
from facerec.labelling.parts import find_parts
from facerec.models import worker_options
from facerec.training.split import Indices
from tests.shipped import ROOT

RATES = (0.1, 0.3, 0.5, 0.65, 0.8)
"""What `CHANCE_PAIR_RATE` could be. Each gives a threshold for a number of faces."""
STRANGERS = 500
ALL_PAIRS = "average linkage, pairs above the threshold"
MODELS = {"accurate": ACCURATE_RECOGNIZER_FILE, "default": RECOGNIZER_FILE}


@dataclass(frozen=True)
class Options:
    """Measure grouping."""

    data_dir: Path = Path("data")  # folder in which LFW is extracted
    labels: Path = Path("data/grouping")  # folder for the labels of its pictures
    scale: int = 100_000  # faces of drawn people that are grouped


class Scores(NamedTuple):
    """Of all pairs of two faces: those of one person, and those of one group."""

    precision: float
    recall: float
    f1: float


class Faces(NamedTuple):
    """The most prominent faces of N pictures."""

    vectors: Vectors
    """`[N, D]`."""
    people: Indices
    """`[N]`, who they are."""


Cluster = Callable[[Vectors, float], NDArray[np.int64]]
"""Returns the cluster of each vector for a threshold of the similarity."""


def main(options: Options) -> None:
    """Label, choose, test, publish."""
    rows: list[list[str | float | None]] = []
    results: dict[str, object] = {}
    for name, file in MODELS.items():
        metadata = FaceRecognizer.load(Path("model") / file, threads=1).metadata
        choosing, test = label_lfw(options, file)
        tuning = {str(rate): score(average, choosing, metadata, rate) for rate in RATES}
        scores = score(average, test, metadata, CHANCE_PAIR_RATE)
        rows.append([name, f"**{ALL_PAIRS}**", CHANCE_PAIR_RATE, *tuning[str(CHANCE_PAIR_RATE)], *scores])
        results[name] = {"choosing": {rate: each._asdict() for rate, each in tuning.items()}, "test": scores._asdict()}
        for method, cluster in METHODS.items():
            rate, chosen = max(((rate, score(cluster, choosing, metadata, rate)) for rate in RATES), key=_f1)
            rows.append([name, method, rate, *chosen, *score(cluster, test, metadata, rate)])
    metrics = ("precision", "recall", "F1")
    columns = ("model", "method", "rate", *(f"{each}, choosing" for each in metrics), *metrics)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:  # whose memory is this alone
        scale = process.submit(measure_scale, options.scale).result()
    results["methods"], results["scale"] = rows, scale
    tables = f"{table(columns, rows)}\n\n{table(tuple(scale), [list(scale.values())])}"
    publish("grouping", results, tables, packages=("numpy", "onnxruntime", "pyarrow", "scikit-learn", "scipy"))


def _f1(entry: tuple[float, Scores]) -> float:
    return entry[1].f1


def label_lfw(options: Options, model: str) -> tuple[Faces, Faces]:
    """The faces that choose, and those that test."""
    lfw = find_lfw(options.data_dir)
    split = lfw.split
    choosing = np.concatenate([split.unknown_validation, split.background])
    test = np.concatenate([*split.new_people, split.unknown_test[:STRANGERS]])
    folder = options.labels / Path(model).stem
    files = [lfw.files[index].absolute() for index in (*test, *choosing)]
    people = People(gallery=options.labels / "nobody.sqlite", shipped_people=False)
    label_archive(files, str(folder), worker_options(ROOT / "model" / model), workers=1, people=people)
    labels = pa.concat_tables([read_part(part, ["path", "face", "embedding"]) for part in find_parts(folder)])
    found = {
        Path(path).name: row
        for row, (path, face) in enumerate(zip(*labels.select(["path", "face"]).to_pydict().values(), strict=True))
        if face == 0
    }
    vectors = labels["embedding"]

    def faces(indices: Indices) -> Faces:
        seen = [index for index in indices if lfw.files[index].name in found]
        rows = [found[lfw.files[index].name] for index in seen]
        return Faces(np.array(vectors.take(rows).to_pylist(), np.float32), lfw.identities[seen])

    return faces(choosing), faces(test)


def score(cluster: Cluster, faces: Faces, metadata: RecognizerMetadata, rate: float) -> Scores:
    """How right the clusters of faces are at the threshold of a rate of chance pairs."""
    assert metadata.false_matches
    threshold = metadata.false_matches.threshold({1: len(faces.people)}, false_accept_rate=rate)
    clusters = cluster(faces.vectors.copy(), threshold).tolist()
    people = faces.people.tolist()
    right, same, grouped = (_pairs(labels) for labels in (zip(clusters, people, strict=True), people, clusters))
    precision, recall = right / max(grouped, 1), right / same
    return Scores(precision, recall, 2 * precision * recall / max(precision + recall, 1e-9))


def _pairs(labels: object) -> int:
    """Pairs with the same label."""
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())  # type: ignore[call-overload]


def average(vectors: Vectors, threshold: float) -> NDArray[np.int64]:
    """As `facerec label --group` does it."""
    pairs = similar_pairs(vectors, threshold, np.arange(len(vectors)))
    return average_linkage(vectors, pairs, threshold)


def components(vectors: Vectors, threshold: float) -> NDArray[np.int64]:
    """Faces that pairs connect, which is DBSCAN with two faces."""
    pairs = similar_pairs(vectors, threshold, np.arange(len(vectors)))
    graph = csr_matrix((np.ones(len(pairs.first)), (pairs.first, pairs.second)), (len(vectors), len(vectors)))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return labels


def dbscan(vectors: Vectors, threshold: float) -> NDArray[np.int64]:
    """DBSCAN whose clusters grow from faces that resemble two others."""
    first, second, similarity = similar_pairs(vectors, threshold, np.arange(len(vectors)))
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    distances = np.clip(1 - np.concatenate([similarity, similarity]), 1e-7, None)
    graph = csr_matrix((distances, (rows, columns)), (len(vectors), len(vectors)))
    return _alone(DBSCAN(eps=1 - threshold, min_samples=3, metric="precomputed").fit(graph).labels_)


def complete(vectors: Vectors, threshold: float) -> NDArray[np.int64]:
    """Complete linkage: all pairs of a group reach the threshold."""
    labels: NDArray[np.int64] = fcluster(linkage(pdist(vectors, "cosine"), "complete"), 1 - threshold, "distance")
    return labels


METHODS = {"complete linkage": complete, "connected components": components, "DBSCAN": dbscan}


def _alone(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The clusters, where each vector without one is a cluster of its own."""
    return np.where(labels < 0, len(labels) + np.arange(len(labels)), labels)


def measure_scale(count: int) -> dict[str, str | float]:
    """Seconds and memory of grouping drawn faces: people of 1 to 1,000 faces, most of them with few."""
    random = np.random.default_rng(0)
    sizes = np.minimum(random.zipf(1.8, count), 1000)
    people = random.permutation(np.repeat(np.arange(count), sizes)[:count])
    centres = random.normal(size=(count, 128)).astype(np.float32)
    vectors = centres[people] + random.normal(scale=0.8, size=(count, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    del centres
    start = time.perf_counter()
    pairs = similar_pairs(vectors, 0.45, np.arange(count))
    compared = time.perf_counter()
    average_linkage(vectors, pairs, 0.45)
    return {
        "faces": count,
        "pairs that are held": len(pairs.first),
        "seconds to compare all": compared - start,
        "seconds to merge": time.perf_counter() - compared,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
