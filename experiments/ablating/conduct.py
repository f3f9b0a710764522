"""Runs without one thing after the other; each is kept, and what is there is not run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from common.errors import StudyError, WardroundError
from common.files.access import is_there, private_folder, read_text, write
from common.files.json_files import read_lines, read_table
from common.study.study import Study, parse
from experiments.ablating.losses import Loss, Row, loss_of
from experiments.ablating.variants import Variant, seeded, without
from experiments.engines._quiet import run_quietly
from experiments.places import with_whole_folder
from experiments.running.patient_scores import PatientScores, score_patients

ROWS, WHOLE, STUDY = "rows.jsonl", "whole", "study.toml"
Told = Callable[[str, int, int], None]
"""(what is being done, runs that are done, all runs)."""


@dataclass(frozen=True)
class Ablated:
    """study: that was ablated. headline: the score. before: of each seed's whole run, by the seed."""

    study: Study
    headline: str
    before: dict[int, float | None]
    rows: tuple[Row, ...]
    folder: Path
    whole_s: float


@dataclass
class Ablation:
    """study: on this machine's data. run: of its own seed, where there is one already. folder: of all others."""

    study: Study
    name: str
    variants: Sequence[Variant]
    seeds: Sequence[int]
    folder: Path
    run: Path | None = None

    @property
    def runs(self) -> int:
        """All that an ablation needs, those that are there already among them."""
        return len(self.seeds) * (1 + len(self.variants))

    def missing(self) -> int:
        """How many of them are still to be trained."""
        kept = {row.setting for row in self._kept()}
        wanted = [self._study(seed, one) for seed in self.seeds for one in self.variants]
        whole = sum(not _is_done(self._whole_folder(seed)) for seed in self.seeds)
        return whole + sum(_digest(study) not in kept for study in wanted if not isinstance(study, str))

    def conducted(self, told: Told) -> Ablated:
        """Train and score. A run that cannot be is told in its row, and the others go on.

        Raises WardroundError where a whole run cannot be.
        """
        rows, before, headline, whole_s = self._kept(), {}, "", 0.0
        wanted, done = [], 0
        for seed in self.seeds:
            told(f"the whole study, seed {seed}", done, self.runs)
            began = perf_counter()
            scores = self._whole(seed)
            whole_s = max(whole_s, perf_counter() - began)
            headline, done = scores.task.headline, done + 1
            before[seed] = scores.of_all().get(headline)
            for variant in self.variants:
                told(f"without {variant.name}, seed {seed}", done, self.runs)
                row = self._row(seed, variant, scores, rows)
                wanted.append(row)
                done += 1
        return Ablated(self.study, headline, before, tuple(wanted), self.folder, whole_s)

    def _row(self, seed: int, variant: Variant, before: PatientScores, rows: list[Row]) -> Row:
        study = self._study(seed, variant)
        if isinstance(study, str):
            return Row(variant.part, variant.name, seed, "", 0.0, failed=study)
        setting = _digest(study)
        kept = next((row for row in rows if row.setting == setting), None)
        if kept is not None:
            return kept
        began = perf_counter()
        try:
            row = self._measured(seed, variant, study, before)
        except WardroundError as error:
            return Row(variant.part, variant.name, seed, setting, perf_counter() - began, failed=str(error))
        rows.append(Row(variant.part, variant.name, seed, setting, perf_counter() - began, *row))
        write(self.folder, ROWS, "".join(json.dumps(one.table()) + "\n" for one in rows))
        return rows[-1]

    def _measured(
        self, seed: int, variant: Variant, study: Study, before: PatientScores
    ) -> tuple[float | None, float | None, Loss, Loss | None, Loss | None]:
        """Scores of a model that never saw a hospital are of all hospitals' persons, that one's too."""
        folder = self.folder / f"seed-{seed}" / _digest(study)
        _run(study, folder, self.name)
        is_hospital = variant.part == "hospitals"
        after = score_patients(seeded(self.study, seed) if is_hospital else study, folder)
        headline = before.task.headline
        told = before.of_all().get(headline), after.of_all().get(headline), loss_of(before, after)
        if not is_hospital:
            return (*told, None, None)
        own = [person for person in after.persons if person[0] == variant.name]
        others = [person for person in after.persons if person[0] != variant.name]
        return (*told, loss_of(before, after, own), loss_of(before, after, others))

    def _whole(self, seed: int) -> PatientScores:
        folder = self._whole_folder(seed)
        if self.run is None or folder != self.run:
            _run(seeded(self.study, seed), folder, self.name)
        return score_patients(seeded(self.study, seed), folder)

    def _whole_folder(self, seed: int) -> Path:
        if self.run is not None and seed == self.study.seed:
            return self.run
        return self.folder / f"seed-{seed}" / WHOLE

    def _study(self, seed: int, variant: Variant) -> Study | str:
        """Or why there is none."""
        try:
            return without(seeded(self.study, seed), variant)
        except WardroundError as error:
            return str(error)

    def _kept(self) -> list[Row]:
        return [Row.of(one) for one in read_lines(self.folder, ROWS)] if is_there(self.folder, ROWS) else []


def study_of_run(folder: Path) -> Study:
    """Of a run that came to its end, on this machine's data. Raises StudyError for another folder."""
    if not is_there(folder, STUDY) or not _is_done(folder):
        raise StudyError(f"{folder} is no folder of a run that came to its end: name a study, or another folder.")
    return with_whole_folder(parse(read_text(folder, STUDY)))


def _is_done(folder: Path) -> bool:
    return is_there(folder, "about.json") and read_table(folder, "about.json").get("state") == "completed"


def _run(study: Study, folder: Path, name: str) -> None:
    """Where it is not done; from where it ended, where it has begun."""
    if _is_done(folder):
        return
    begun = is_there(folder, "rounds.jsonl") and is_there(folder, STUDY)
    private_folder(folder.parent)
    run_quietly(study, folder, name, resume=begun)


def _digest(study: Study) -> str:
    return sha256(study.json.encode()).hexdigest()[:16]
