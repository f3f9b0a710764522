"""Changes between two visits: planted ones are found, and nothing is found more often than was said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import binom

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.changes import detect_changes

GEOMETRY = Geometry.of((40, 40), 1.0, (-20.0, 10.0))


def visits(seed: int, correlated: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """One head twice, by two scanners: other brightness, shading where it is bright, noise with neighbours alike."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(GEOMETRY.shape)
    head = ((y - 20) / 17) ** 2 + ((x - 20) / 14) ** 2 < 1
    tissue = np.where(head, 100 + 40 * gaussian_filter(rng.normal(size=GEOMETRY.shape), 3) * 5, 0)
    noise = [gaussian_filter(rng.normal(size=GEOMETRY.shape), correlated) for _ in range(2)]
    first, second = (one / one.std() * 3 for one in noise)
    return tissue + first * head, np.where(head, 30 + 0.7 * tissue + 1e-3 * tissue**2, 0) + second * head


def test_two_planted_lesions_are_found_where_and_as_they_are() -> None:
    before, after = visits(1)
    after[14:18, 22:26] += 20
    after[26:29, 12:16] -= 25
    found = detect_changes(Image(before, GEOMETRY), Image(after, GEOMETRY), maps=200)
    assert [place.brighter for place in sorted(found.places, key=lambda one: one.centre_mm)] == [True, False]
    centres = sorted(place.centre_mm for place in found.places)
    np.testing.assert_allclose(centres, [(15.5 - 20, 23.5 + 10), (27 - 20, 13.5 + 10)], atol=1.5)
    assert all(place.p < 0.02 for place in found.places)


def test_pairs_without_a_change_alarm_no_more_often_than_was_said() -> None:
    """24 pairs at a rate of .2; more alarms than 99.9 % of fair draws have would be too many."""
    alarms = 0
    for seed in range(24):
        before, after = visits(100 + seed, 0.3 + 0.9 * (seed % 2))
        alarms += bool(detect_changes(Image(before, GEOMETRY), Image(after, GEOMETRY), rate=0.2, maps=40).places)
    assert alarms <= binom.ppf(0.999, 24, 0.2)
    assert alarms > 0


def test_what_does_not_fit_is_refused() -> None:
    before, after = (Image(one, GEOMETRY) for one in visits(0))
    elsewhere = Image(after.values, Geometry.of((40, 40)))
    few = Image(np.eye(40), GEOMETRY)
    for arguments, said in (((before, elsewhere), "register it first"), ((before, after, few), "200 voxels")):
        with pytest.raises(ImageError, match=said):
            detect_changes(*arguments)
    with pytest.raises(ImageError, match="enough for the rate"):
        detect_changes(before, after, rate=0.001, maps=100)
