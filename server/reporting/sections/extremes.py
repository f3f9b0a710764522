"""The test patients on whom the model does worst and best, in simulation alone."""

from __future__ import annotations

from collections.abc import Sequence

from server.reporting.markup import Child, Markup, table
from server.reporting.patients import Patient
from server.reporting.records import Run
from server.reporting.sections.layout import figure, section
from server.reporting.sections.pictures import cards
from server.reporting.wording import capital, named, score, score_name

TITLE = "Where does it fail, and where is it best?"
LEARNED = "Which patients does it answer worst, and which best?"
EXTREMES = 3
MOST_SCORES = 7


def extremes(run: Run) -> Markup | None:
    """None where nothing was scored; of real hospitals, and of scores of many patients at once, why there is none."""
    if not run.final:
        return None
    headline = run.about.headline
    title = LEARNED if run.about.watched else TITLE
    record = run.patients
    if record is None:
        words = "No single patient's score leaves a hospital: only a simulation can show the worst and the best."
        return section("extremes", title, words)
    if record.why_not:
        return section("extremes", title, f"{capital(record.why_not)}.")
    scored = [one for one in record.patients if headline in one.scores]
    drawn = {rank: [one for one in run.pictures if one.rank == rank] for rank in ("worst", "best")}
    levels = {one.scores[headline] for one in scored}
    if len(scored) < 2 or (len(levels) <= 2 and not any(drawn.values())):
        return _by_loss(run, title, record.patients)
    lede = (
        f"The test patients of lowest and of highest {score_name(headline)}, of all hospitals. They are simulated "
        "here; of a real hospital none would be shown."
    )
    ordered = sorted(scored, key=lambda one: one.scores[headline])
    cut = min(EXTREMES, len(ordered) // 2)
    parts = {"worst": ordered[:cut], "best": ordered[::-1][:cut]}
    shown = [_part(run, rank, rows, headline, drawn[rank]) for rank, rows in parts.items()]
    return section("extremes", title, lede, *shown)


def _by_loss(run: Run, title: str, patients: Sequence[Patient]) -> Markup:
    """Where the headline is only right or wrong, or compares patients: by how surprised the model is of each."""
    scored = sorted((one for one in patients if "loss" in one.scores), key=lambda one: -one.scores["loss"])
    if len(scored) < 2:
        return section("extremes", title, "No score is of one patient alone: the headline compares patients.")
    cut = min(EXTREMES, len(scored) // 2)
    name = score_name(run.about.headline)
    lede = (
        f"One patient's {name} is all or nothing, or compares patients; so they are ordered by loss, which is large "
        "where the model was sure and wrong. They are simulated here; of a real hospital none would be shown."
    )
    parts = {"worst": scored[:cut], "best": scored[::-1][:cut]}
    return section("extremes", title, lede, *(_part(run, rank, rows, "loss", []) for rank, rows in parts.items()))


def _part(run: Run, rank: str, rows: Sequence[Patient], by: str, pictures: Sequence[object]) -> Markup:
    chosen = [one for one in run.pictures if one.rank == rank] if pictures else []
    names = [by, *sorted({name for one in rows for name in one.scores} - {by, "auc_error"})][:MOST_SCORES]
    head = ["Patient", "Hospital", *(named(name, run.roster.classes) for name in names)]
    values = [[one.name, one.site, *(score(one.scores.get(name)) for name in names)] for one in rows]
    drawn: Child = cards(chosen, score_name(by)) if chosen else None
    return figure(f"The {rank}", drawn, table(head, values, words=2))
