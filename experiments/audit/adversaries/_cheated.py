"""A coordinator that cheats, shown both ways: what comes back from hospitals that check nothing, and who refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.audit.questions._pairs import pair
from experiments.audit.records import Rebuilt, Report, Trial
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
    "The study's own network can carry an imprint, and so a list of approved studies does not stop it. Traps in a "
    "part of the units are seen by no check: against them only noise helps, a network without such layers, or a "
    "study of a single round."
)
LOCAL_STEPS = (
    "This study asks for the change that local training makes, in which cases mix, and an imprint tells less."
)
OWN_PROGRAM = (
    "A check binds as far as the hospital itself chose the program that makes it. Flower as it stands runs whatever "
    "program the coordinator sends, so that one who replaces it has got round every check; docs/limits.md says what "
    "that asks of a deployment."
)


def cheated(report: Report, name: str) -> Markup | None:
    """A row an attack of the adversary of that name; None where none was played."""
    own = [trial for trial in report.trials if trial.observer == name and trial.possible]
    played = [trial for trial in own if isinstance(trial.settings.get("refused"), Mapping)]
    if not played:
        return None
    return section(
        "cheated",
        "If the coordinator cheats",
        "Whatever such a coordinator may send was sent to the hospitals' own software, opened for this audit. "
        f"{_what_stops_it(played)}",
        table(HEAD, _rows(played), words=len(HEAD)),
        tag("p", OWN_PROGRAM, class_="note"),
        tag("div", *(pair(trial, one) for trial, one in _pictured(played)), class_="cards"),
    )


def _what_stops_it(played: Sequence[Trial]) -> str:
    told = [trial for trial in played if "own_study" in trial.settings]
    if not told:
        return ""
    if all(trial.settings["own_study"] for trial in told):
        return OWN_STUDY
    return f"{SAME_STUDY} {LOCAL_STEPS}" if told[0].settings.get("sends") == "delta" else SAME_STUDY


def _rows(played: Sequence[Trial]) -> list[list[str]]:
    """As the first model where hospitals refuse that otherwise than as a later one."""
    rows = []
    for attack in dict.fromkeys(trial.attack for trial in played):
        own = [trial for trial in played if trial.attack == attack]
        refused, back, what = own[0].settings["refused"], _came_back(own), attack.replace("_", " ")
        if refused.get("first", "") != refused.get("later", ""):
            rows.append(
                [f"{what}, as the first model", back, *(_cell(refused, key, back) for key in ("first", "first"))]
            )
            what = f"{what}, as a later model"
        checked = "later" if "later" in refused else "listed"
        rows.append([what, back, *(_cell(refused, key, back) for key in (checked, "listed"))])
    return rows


def _cell(refused: Mapping[str, str], key: str, back: str) -> str:
    return f"refused: {refused[key]}" if refused.get(key) else f"answered: {back}"


def _came_back(trials: Sequence[Trial]) -> str:
    """The cases that are this patient and nobody else, of those that are shown."""
    rebuilt = [one for trial in trials for one in trial.rebuilt]
    if not rebuilt:
        opened = any(trial.figures.get("opened") for trial in trials)
        return "a single hospital's update" if opened else "nothing came back"
    known, best = sum(one.identifies for one in rebuilt), max(rebuilt, key=lambda one: (one.identifies, one.ssim))
    if not known:
        return f"no patient came back (best similarity {best.ssim:.2f})"
    return f"patients came back: similarity {best.ssim:.2f}, the right one of {best.among}"


def _pictured(played: Sequence[Trial]) -> list[tuple[Trial, Rebuilt]]:
    pairs = [(trial, one) for trial in played for one in trial.rebuilt if one.original and one.identifies]
    return sorted(pairs, key=lambda found: -found[1].ssim)[:MOST_PAIRS]
