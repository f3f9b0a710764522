"""Principal components come of hospitals' sums as they come of all cases in one table."""

from __future__ import annotations

import numpy as np

from common.selfsupervision.components import Moments, principal_components


def test_sums_of_hospitals_give_the_components_of_all_cases() -> None:
    features = np.random.default_rng(0).normal(size=(40, 6)) @ np.diag([5.0, 3.0, 1.0, 1.0, 0.5, 0.1])
    parts = [features[:7], features[7:8], features[8:]]
    found = principal_components(Moments.of(parts[0]) + Moments.of(parts[1]) + Moments.of(parts[2]))
    centred = features - features.mean(0)
    _, lengths, rows = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(found.directions.T @ rows[:2].T), np.eye(2), atol=1e-9)
    assert np.allclose(found.shares, (lengths**2 / (lengths**2).sum())[:2])
    assert np.allclose(found.of(features).mean(0), 0)


def test_points_on_a_line_lie_in_one_direction() -> None:
    found = principal_components(Moments.of(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])))
    assert np.allclose(found.directions[:, 0], np.array([1.0, 2.0]) / 5**0.5)
    assert np.allclose(found.shares, [1, 0])
    assert np.allclose(found.of(np.array([[2.0, 4.0]]))[0, 0], 5**0.5)


def test_where_nothing_varies_no_direction_explains_anything() -> None:
    found = principal_components(Moments.of(np.ones((3, 4))))
    assert found.shares.tolist() == [0, 0]
    assert np.isfinite(found.of(np.ones((2, 4)))).all()
