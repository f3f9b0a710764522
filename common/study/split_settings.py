"""`[split]` of a study: who is trained on, and on whom the model is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from common.errors import StudyError
from common.study.checks import between
from common.study.privacy_checks import Assignment

Unit = Literal["person", "hospital"]


@dataclass(frozen=True)
class Split:
    """`[split]`: shares of each hospital's patients that are kept for validation and test.

    assignment: "exact" ranks the patients and cuts the ranking at the shares, so that one patient more or less can
    move others; "independent" places each by a hash of its name against the shares, whoever else is there. Left out,
    it is "independent" where privacy is promised to patients or cases, which need it, and else "exact".
    unit: whose shares these are. "person", as where it is left out: of each hospital's patients. "hospital": of the
    hospitals, for those too small to be divided; some of them, all of their patients, are not trained on at all, and
    their scores say how the model does at a hospital that it has not seen.
    """

    validation: float = 0.1
    test: float = 0.25
    assignment: Assignment | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        between("split", 0, 1, validation=self.validation, test=self.test)

    @property
    def is_by_hospital(self) -> bool:
        """Whether each hospital is in one part, whole."""
        return self.unit == "hospital"

    def demand_room(self, trains: bool) -> None:
        """Raise StudyError where the shares leave too few to train on, if anybody `trains`, or are more than all."""
        if not trains:
            between("split", 0, 1, **{"validation + split.test": self.validation + self.test})
            return
        between("split", 0, 0.9, validation=self.validation, test=self.test)
        if self.validation + self.test >= 1:
            raise StudyError(
                "split.validation + split.test leave no patient to train on; their sum must be below 1, but where "
                "rounds = 0 and nobody is trained on."
            )
