"""What the node holds beside its log: the rules of its hospital, the models it was handed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from common.errors import FileError
from common.files.access import names
from experiments.approving.policy_words import policy_sentences
from experiments.pages.hospital.studies import Known, names_of
from experiments.pages.sheet import bulleted
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import listed

MODELS = "models"
MOST_MODELS = 60


def policy_section(folder: Path) -> Markup:
    """In sentences. Raises HospitalError or StudyError where the policy cannot be read."""
    where, *rules = policy_sentences(folder)
    lede = (
        "The hospital's own file; no coordinator sees or changes it, and it can only refuse more than a study does."
    )
    return section(
        "policy", "This hospital's rules", lede, bulleted(rules), tag("p", f"{where.rstrip(':.')}.", class_="note")
    )


def models_held(folder: Path) -> list[tuple[str, str, list[str], float]]:
    """Study, run, files and the time of the newest, of every folder of a model."""
    found = []
    for study in names(folder, MODELS):
        for run in _names(folder, f"{MODELS}/{study}"):
            files = _names(folder, f"{MODELS}/{study}/{run}")
            times = [_time(folder / MODELS / study / run / name) for name in files]
            found.append((study, run, files, max(times, default=0.0)))
    return sorted(found, key=lambda one: one[3], reverse=True)


def models_section(folder: Path, known: Iterable[Known]) -> Markup:
    """What is here to predict with."""
    titles = names_of(known)
    held = models_held(folder)
    if not held:
        lede = (
            "None yet. After the last round of a study the node is handed its signed model, its card and its scores."
        )
        return section("models", "Models", lede)
    rows: list[list[Child]] = [
        [titles.get(study, study[:12]), run[:12], f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}", listed(files)]
        for study, run, files, at in held[:MOST_MODELS]
    ]
    lede = "Each was handed over at the end of its run; wardround predict takes its folder."
    where = tag("p", f"In {folder / MODELS}.", class_="note")
    return section("models", "Models", lede, table(["Study", "Run", "Since (UTC)", "Files"], rows, words=4), where)


def _names(folder: Path, name: str) -> list[str]:
    """A file where a folder should be holds nothing."""
    try:
        return names(folder, name)
    except FileError:
        return []


def _time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
