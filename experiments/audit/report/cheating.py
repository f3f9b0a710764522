"""A coordinator that cheats, shown both ways: what comes back from hospitals that check nothing, and who refuses."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.audit.records import Rebuilt, Report, Trial
from experiments.audit.report.findings import pair
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import section

MOST_PAIRS = 3
HEAD = ("What is sent", "If a hospital checks nothing", "If it checks the model", "If it checks the study as well")
OWN_STUDY = (
    "The study's own network cannot carry an imprint, and so the coordinator sends a study of its own: another "
    "network, no epsilon and no protected sum. A hospital's list of approved studies stops that; a deployed hospital "
    "serves no study that is not on it."
)
SAME_STUDY = (
    "The study's own network can carry an imprint, and so a list of approved studies does not stop it. A blurred one "
    "is seen by no check: against it only noise helps, a network without such layers, or a study of a single round."
)
LOCAL_STEPS = (
    "This study asks for the change that local training makes, in which cases mix, and an imprint tells less."
)
OWN_PROGRAM = (
    "A check binds as far as the hospital itself chose the program that makes it. Flower as it stands runs whatever "
    "program the coordinator sends, so that one who replaces it has got round every check; docs/limits.md says what "
    "that asks of a deployment."
)


def cheated(report: Report) -> Markup | None:
    """A row a way to cheat; None where none was played."""
    own = [trial for trial in report.trials if trial.kind == "reconstruction" and trial.possible]
    played = [trial for trial in own if trial.observer == "cheating"]
    if not played:
        return None
    return section(
        "cheated",
        "If the coordinator cheats",
        "An imprint is a model made to copy a hospital's cases into its answer, sorted by their brightness. It was "
        f"sent to the hospitals' own software, opened for this audit. {_what_stops_it(played[0])}",
        table(HEAD, _rows(played), words=len(HEAD)),
        tag("p", OWN_PROGRAM, class_="note"),
        tag("div", *(pair(trial, one) for trial, one in _pictured(played)), class_="cards"),
    )


def _what_stops_it(trial: Trial) -> str:
    if trial.settings["own_study"]:
        return OWN_STUDY
    return f"{SAME_STUDY} {LOCAL_STEPS}" if trial.settings["sends"] == "delta" else SAME_STUDY


def _rows(played: Sequence[Trial]) -> list[list[str]]:
    plain, blurred = (
        [trial for trial in played if bool(trial.settings["blur"]) == is_blurred] for is_blurred in (False, True)
    )
    return [
        ["an imprint as the first model", *_cells(plain, "first", "first")],
        ["an imprint as a later model", *_cells(plain, "later", "listed")],
        ["an imprint blurred by noise, as a later model", *_cells(blurred, "later", "listed")],
    ]


def _cells(trials: Sequence[Trial], checked: str, listed: str) -> list[str]:
    """What came back, and which of the two kinds of hospital refuse."""
    back = _came_back([one for trial in trials for one in trial.rebuilt])
    refused = trials[0].settings["refused"]
    return [back, *(f"refused: {refused[key]}" if refused[key] else f"answered: {back}" for key in (checked, listed))]


def _came_back(rebuilt: Sequence[Rebuilt]) -> str:
    """The cases that are this patient and nobody else, of those that are shown."""
    if not rebuilt:
        return "nothing came back"
    known, best = sum(one.identifies for one in rebuilt), max(rebuilt, key=lambda one: (one.identifies, one.ssim))
    if not known:
        return f"no patient came back (best likeness {best.ssim:.2f})"
    return f"patients came back: likeness {best.ssim:.2f}, the right one of {best.among}"


def _pictured(played: Sequence[Trial]) -> list[tuple[Trial, Rebuilt]]:
    pairs = [(trial, one) for trial in played for one in trial.rebuilt if one.original and one.identifies]
    return sorted(pairs, key=lambda found: -found[1].ssim)[:MOST_PAIRS]
