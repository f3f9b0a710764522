"""A run's watch for collapse: what each evaluation shows goes into the round's record; the study may end there.

A run that is resumed reads its own records again, and says the same.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.data.names import SiteId
from common.errors import StudyError
from common.learning.abilities import watched
from common.study.spelling import unknown
from common.study.study import Study
from server.collapse import Look, Watching
from server.collapse_words import in_short, sentences
from server.members import Member
from server.run_folder import RunFolder

LOG = logging.getLogger("wardround.collapse")


@dataclass
class CollapseWatch:
    """Of a run whose task is watched; of any other it does nothing. split: of the cases that are looked at."""

    watching: Watching
    split: str
    stops: bool
    told: str = ""

    @classmethod
    def of(
        cls, study: Study, members: Mapping[SiteId, Member], folder: RunFolder, shown: Collection[str]
    ) -> CollapseWatch:
        """Up to where the folder's rounds are. shown: the task's scores; StudyError where it watches others."""
        split = study.federation.evaluate_split
        for name in watched(study.build_task()):
            if name not in shown:
                raise StudyError(f"task {study.task.name!r}, watched: {unknown('score', name, shown)}")
        cases = {site: one.cases.get(split, 0) for site, one in members.items()}
        watch = cls(Watching(watched(study.build_task()), cases), split, study.federation.stop_on_collapse)
        for record in folder.read_rounds() if watch.is_needed else ():
            watch._take(record.get("evaluation"))
        return watch

    @property
    def is_needed(self) -> bool:
        """Whether the task says what to look at."""
        return bool(self.watching.watched)

    @property
    def is_over(self) -> bool:
        """Whether the study ends here."""
        return self.stops and self.watching.verdict.collapsed

    def look(self, record: dict[str, Any]) -> None:
        """Take in a round's evaluation, and write into its record what it shows; where that is new, in the log."""
        if self.is_needed and self._take(record.get("evaluation")):
            record["collapse"] = self.table()
            self._log()

    def look_at_last(self, of_round: int, final: Mapping[str, Any]) -> None:
        """The last model, of the same cases."""
        if self.is_needed and self.split in final and self._take({"of_round": of_round, **final[self.split]}):
            self._log()

    def table(self) -> dict[str, Any]:
        """For JSON."""
        found = self.watching.verdict
        return {
            "collapsed": found.collapsed,
            "in_short": in_short(found),
            "sentences": sentences(found),
            "findings": [asdict(one) for one in found.standing],
        }

    def words(self, rounds: int, planned: int) -> str:
        """Why the run ended early; "" where it did not for this."""
        if not self.is_over or rounds >= planned:
            return ""
        found = self.watching.verdict
        last = f" The last model that told cases apart was that after round {found.last_well}." * bool(
            found.last_well
        )
        return f"It ended early, after round {rounds} of {planned}, since it collapsed (stop_on_collapse).{last}"

    def _take(self, evaluation: Any) -> bool:
        if not isinstance(evaluation, Mapping):
            return False
        sites = {site: _known(scores) for site, scores in evaluation["sites"].items()}
        self.watching.add(Look(int(evaluation["of_round"]), _known(evaluation["pooled"]), sites))
        return True

    def _log(self) -> None:
        now = in_short(self.watching.verdict)
        kind = now.partition(":")[0]
        if kind and kind != self.told:
            LOG.warning("%s", now)
        self.told = kind


def _known(scores: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value is not None}
