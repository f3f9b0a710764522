"""How many hospitals open a sum: more than half, so that no two disjoint groups could open two different ones."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import StudyError

FEWEST_HOSPITALS = 3
"""The sum of two tells each of them the other's update."""


@dataclass(frozen=True)
class Threshold:
    """threshold: None for two thirds of a round's hospitals, rounded up, or more where `colluding` needs it.

    colluding: how many hospitals may help a cheating server. They could sign two sets of survivors; still no two sets
    get `threshold` signatures as long as 2 threshold > hospitals + colluding (Bonawitz et al. 2017, section 6.3).
    """

    threshold: int | None = None
    colluding: int = 0

    def of(self, hospitals: int) -> int:
        """For a round of so many. Raises StudyError where it cannot be met or would not protect."""
        if self.colluding < 0:
            raise StudyError(f"aggregation.colluding must be zero or more; it is {self.colluding}.")
        if hospitals < FEWEST_HOSPITALS:
            raise StudyError(
                f"a sum that hides single updates needs 3 hospitals a round or more; it has {hospitals}."
            )
        if self.colluding > hospitals - 2:
            raise StudyError(
                f"aggregation.colluding = {self.colluding} of {hospitals} hospitals leave one alone, whose update is "
                f"the sum less theirs, which nothing hides: it must be at most {hospitals - 2}."
            )
        fewest = (hospitals + self.colluding) // 2 + 1
        threshold = max(-(-2 * hospitals // 3), fewest) if self.threshold is None else self.threshold
        if not fewest <= threshold <= hospitals:
            raise StudyError(
                f"aggregation.threshold must be between {fewest} and {hospitals} for a round of {hospitals} "
                f"hospitals, {self.colluding} of them colluding; it is {threshold}."
            )
        return threshold
