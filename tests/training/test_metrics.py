import numpy as np
import pytest

from facerec.training import metrics
from facerec.training.metrics import Proportion

SIMILARITIES = np.array([[0.9, 0.1, 0.2], [0.2, 0.5, 0.6], [0.1, 0.2, 0.7], [0.3, 0.1, 0.2]], dtype=np.float32)
LABELS = np.array([0, 1, 2, 0])


def test_proportions_have_wilsons_interval() -> None:
    # Newcombe, 1998, Statistics in Medicine 17: 81 of 263 has the Wilson interval 0.2553 to 0.3662.
    proportion = Proportion.from_hits(np.arange(263) < 81)
    assert (proportion.count, proportion.total) == (81, 263)
    assert proportion.value == pytest.approx(81 / 263)
    assert (proportion.low, proportion.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Proportion.from_hits(np.ones(10, dtype=bool)).high == 1
    assert (
        Proportion.pooled([Proportion.from_hits(np.arange(200) < 80), Proportion.from_hits(np.arange(63) < 1)])
        == proportion
    )


def test_top_k_counts_labels_among_the_highest_similarities() -> None:
    assert metrics.top_k(SIMILARITIES, LABELS, 1).count == 3
    assert metrics.top_k(SIMILARITIES, LABELS, 2).count == 4


def test_recalls_are_by_person() -> None:
    assert [recall.value for recall in metrics.recalls_by_person(SIMILARITIES, LABELS)] == [1, 0, 1]
    assert [recall.total for recall in metrics.recalls_by_person(SIMILARITIES, LABELS)] == [2, 1, 1]


def test_calibration_error_is_the_distance_between_confidence_and_accuracy() -> None:
    confident = np.repeat(np.array([[0.8, 0.2]], dtype=np.float32), 10, axis=0)
    assert metrics.expected_calibration_error(confident, np.array([0] * 8 + [1] * 2)) == pytest.approx(0, abs=1e-6)
    assert metrics.expected_calibration_error(confident, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.3, abs=1e-6)
    two_bins = np.array([[1.0, 0.0], [0.6, 0.4]], dtype=np.float32)
    assert metrics.expected_calibration_error(two_bins, np.array([0, 1])) == pytest.approx((0 + 0.6) / 2, abs=1e-6)


def test_dir_counts_correct_images_above_the_threshold_of_the_unknown_people() -> None:
    def dir_count(rate: float, *highest: float) -> int:
        similarities = np.array([0.0] * (100 - len(highest)) + list(highest), dtype=np.float32)
        unknown = similarities[:, None].repeat(3, axis=1)
        proportion = metrics.detection_and_identification(SIMILARITIES, LABELS, unknown, false_accept_rate=rate)
        return proportion.count

    # Correct images have the similarities 0.9, 0.7 and 0.3. Of the 100 unknown images, one may be accepted at 1 %.
    assert dir_count(0.01, 0.95) == 3
    assert dir_count(0.01, 0.95, 0.8) == 1
    assert dir_count(0.01, 0.95, 0.7) == 1, "a similarity equal to the threshold is not accepted"
    assert dir_count(0.1, *[0.95] * 9, 0.8) == 3
    assert dir_count(0.1, *[0.95] * 9, 0.8, 0.6) == 2
    assert dir_count(0.1, *[0.95] * 11) == 0


def test_auroc_is_1_where_known_people_have_the_higher_similarities() -> None:
    low, high = np.zeros((5, 3), dtype=np.float32), np.ones((7, 3), dtype=np.float32)
    assert metrics.known_unknown_auroc(high, low) == 1
    assert metrics.known_unknown_auroc(low, high) == 0
