"""What `[stopping]` makes of a run: when it ends, and which of its models is kept; the same after it was resumed.

What decides are the pooled scores in the records of rounds. The best model so far lies in a file of its own, named by
the round it is of, beside the checkpoint; it is there before the record that it is the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.errors import FileError, RoundError, StudyError
from common.files.access import names, remove
from common.files.tensor_files import SUFFIX, read_tensors, write_tensors
from common.study.stopping import Standing, Stopping, standing
from common.sums.update import Vector
from server.checkpoint import Checkpoint
from server.run_folder import RunFolder

FOLDER = "checkpoint/best"


@dataclass
class Watch:
    """Of a run's score over its rounds. stopping: None where all rounds are run and the last model is kept."""

    stopping: Stopping | None
    score: str
    folder: RunFolder
    seen: list[tuple[int, float | None]] = field(default_factory=list)

    @classmethod
    def of(cls, stopping: Stopping | None, headline: str, shown: Iterable[str], folder: RunFolder) -> Watch:
        """Up to where the folder's rounds are. Raises StudyError where no score has the name that the study says."""
        score = (stopping.score if stopping else "") or headline
        known = sorted(shown)
        if stopping is not None and score not in known:
            raise StudyError(f"stopping.score: the task has no score {score!r}; it has {', '.join(known)}.")
        watch = cls(stopping, score, folder)
        if stopping is not None:
            watch.seen = [one for record in folder.read_rounds() for one in watch.scored(record)]
        return watch

    @property
    def standing(self) -> Standing:
        """The best so far, and how long ago."""
        return Standing() if self.stopping is None else standing(self.stopping, self.score, self.seen)

    @property
    def is_over(self) -> bool:
        """Whether the score has not improved for as long as the study waits."""
        return self.stopping is not None and self.standing.waited >= self.stopping.patience

    def look(self, before: Checkpoint, record: Mapping[str, Any]) -> None:
        """Take in a round's evaluation, which is of the model it started from, and keep that where it is the best."""
        self.seen += self.scored(record)
        if self.stopping is None or self.stopping.keep == "last" or self.standing.best_round != before.model_round:
            return
        write_tensors(self.folder.path, _name(before.model_round), {"parameters": before.parameters}, durable=True)

    def tidy(self) -> None:
        """Remove models that were the best once."""
        if self.stopping is None or self.standing.best_round is None:
            return
        kept = _name(self.standing.best_round).rpartition("/")[2]
        for name in names(self.folder.path, FOLDER):
            if name.endswith(SUFFIX) and name != kept:
                remove(self.folder.path, f"{FOLDER}/{name}")

    def chosen(self, last: Checkpoint) -> tuple[int, Vector]:
        """The run's model, and after which round it was."""
        best = self.standing.best_round
        if self.stopping is None or self.stopping.keep == "last" or best is None:
            return last.model_round, last.parameters
        if best == last.model_round:
            return best, last.parameters
        try:
            parameters = read_tensors(self.folder.path, _name(best)).tensors["parameters"].astype(np.float32)
        except (FileError, LookupError) as error:
            raise RoundError(f"the best model, of round {best}, cannot be read: {error}") from error
        if parameters.shape != last.parameters.shape or not np.isfinite(parameters).all():
            raise RoundError(f"what is kept as the best model, of round {best}, is none of this study.")
        return best, parameters

    def words(self, rounds: int, planned: int) -> str:
        """How the run ended early, and which model is kept, in sentences; "" where there is nothing to say."""
        if self.stopping is None:
            return ""
        now, said = self.standing, []
        if self.is_over and rounds < planned:
            said.append(
                f"It ended early, after round {rounds} of {planned}: {self.score} had not improved for "
                f"{self.stopping.patience} evaluations."
            )
        if now.best_round is not None and self.stopping.keep == "best":
            best = f"the best ({self.score} {now.best:.4g})"
            said.append(f"The model kept is that after round {now.best_round}, {best}.")
        return " ".join(said)

    def scored(self, record: Mapping[str, Any]) -> list[tuple[int, float | None]]:
        """The evaluation of a round's record, if it had one; without a score where its model was taken back."""
        evaluation = record.get("evaluation")
        if not isinstance(evaluation, Mapping):
            return []
        value = evaluation["pooled"].get(self.score)
        is_gone = value is None or "taken_back" in record
        return [(int(evaluation["of_round"]), None if is_gone else float(value))]


def _name(number: int) -> str:
    return f"{FOLDER}/{number:06d}{SUFFIX}"
