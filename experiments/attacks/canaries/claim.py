"""What an attack with canaries claims: scores of fair coins, and how the coins fell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.privacy.release import Release


@dataclass(frozen=True)
class CanaryScores:
    """The auditor drew the coins itself, so how they fell is no secret of a hospital's.

    scores: (m,), the higher the surer that the canary was trained on. included: (m,) the coins, independent and fair.
    promised: what is claimed of the noisy sums that the scores are from; whole: of all that the study makes, with
    delta. apart: whether what was released of one canary is drawn apart from what was released of others, so that the
    coins are independent for whoever saw it all: so of canaries along different coordinates, not of cases in a model.
    beside_own: whether the hospital's own cases were trained on beside them, or canaries alone.
    """

    site: SiteId
    scores: NDArray[np.float64]
    included: NDArray[np.bool_]
    promised: Release
    whole: Release
    delta: float
    apart: bool
    beside_own: bool = True
