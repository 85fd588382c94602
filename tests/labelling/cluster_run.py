"""Label an archive with toy models on a Ray cluster of two nodes, one of which is killed in the middle.

Run it as `python -m tests.labelling.cluster_run RECOGNIZER DETECTOR LANDMARKS GALLERY ARCHIVE OUTPUT`. It prints on how
many nodes the cluster was, before and after, and what was done, as JSON.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from facerec.labelling import ray_cluster
from facerec.labelling.archive import People, Progress
from tests.labelling.toy_archive import toy_options

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def main(recognizer: str, detector: str, landmarks: str, gallery: str, archive: str, output: str) -> None:
    """Label the archive in blocks of 4 pictures and two data sets."""
    ray_cluster.BLOCK_PICTURES, ray_cluster.DATASET_PICTURES = 4, 100
    options = toy_options(Path(recognizer), Path(detector), Path(landmarks))
    ray: Any = importlib.import_module("ray")
    cluster = importlib.import_module("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={**NODE, "include_dashboard": False}
    )
    second = cluster.add_node(**NODE)
    nodes: list[int] = []

    def kill(progress: Progress) -> None:
        """Kill the second node with a third of the first data set done."""
        if progress.pictures >= 32 and not nodes:
            nodes.append(int(ray.cluster_resources()["CPU"]))
            cluster.remove_node(second, allow_graceful=False)

    try:
        progress = ray_cluster.label_on_cluster(
            archive, output, options, address=cluster.address, people=People(gallery=gallery), on_progress=kill
        )
        print(json.dumps({"nodes": nodes, "found": progress.found, "pictures": progress.pictures}))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    main(*sys.argv[1:])
