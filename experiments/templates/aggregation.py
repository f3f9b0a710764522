"""An aggregation of your own: how a sum is made. Here updates are rounded before they leave the hospital."""

from dataclasses import dataclass, replace

import numpy as np

from common.sums import Aggregation, Local, Payload, Update
from common.sums.aggregations.plain import Plain
from common.sums.exchange import Expected
from common.wire.decoding import update_to_payload


@dataclass(frozen=True)
class Mine(Plain):
    """decimals: how many are kept.

    It extends the sum in the clear: the coordinator reads every update (`reveals` is "each"). Both halves of a
    protocol stand in one file: `protect` and `answer` run in a hospital, `collect` at the coordinator.
    """

    decimals: int = 6

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The rounded update."""
        vectors = tuple(np.round(vector, self.decimals) for vector in update.vectors)
        return update_to_payload(replace(update, vectors=vectors))

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Of a sum of so many, in any coordinate: half of the last decimal, of each hospital."""
        return hospitals * 0.5 * 10.0**-self.decimals


aggregation: type[Aggregation] = Mine
