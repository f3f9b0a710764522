"""The whole page: one file that needs no network and is not allowed any."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from server.reporting.by_hospital import is_many
from server.reporting.comparison import compare
from server.reporting.finder_script import FINDER_SCRIPT, FINDER_STYLE
from server.reporting.markup import Markup, escaped, joined, tag
from server.reporting.records import Run
from server.reporting.script import SCRIPT
from server.reporting.sections.collapse import collapse
from server.reporting.sections.datasets import holdings
from server.reporting.sections.duration import time_spent
from server.reporting.sections.evaluation import evaluation
from server.reporting.sections.extremes import extremes
from server.reporting.sections.features import features
from server.reporting.sections.finder import finder
from server.reporting.sections.fine_tuning import fine_tuning
from server.reporting.sections.learning import learning
from server.reporting.sections.opening import opening
from server.reporting.sections.participation import participation
from server.reporting.sections.pictures import pictures
from server.reporting.sections.privacy import privacy
from server.reporting.sections.result import result
from server.reporting.sections.settings import settings
from server.reporting.sections.subgroups import subgroups
from server.reporting.sections.traffic import departures
from server.reporting.style import STYLE


def page_of(run: Run) -> str:
    """The HTML of a run's report."""
    comparison, untrained = compare(run), run.about.rounds_planned == 0
    parts = {
        "Evaluation" if untrained else "Result": evaluation(run) if untrained else result(run, comparison),
        "Find": finder(run, comparison),
        "Fine-tuning": fine_tuning(run),
        "Collapse": collapse(run),
        "Learning": learning(run),
        **({} if untrained else {"Certainty": evaluation(run)}),
        "Groups": subgroups(run),
        "Worst and best": extremes(run),
        "Features": features(run),
        "Pictures": pictures(run),
        "Data": holdings(run),
        "What left": departures(run),
        "Privacy": privacy(run),
        "Time": time_spent(run),
        "Rounds": participation(run),
        "Study": settings(run),
    }
    shown = {word: part for word, part in parts.items() if part is not None}
    main = tag("main", opening(run, comparison), _contents(shown), *shown.values(), _foot(run))
    title = f"{run.about.title or run.about.study or run.name}, federated training report"
    return document(title, main, searched=is_many(run))


def document(title: str, body: Markup, searched: bool = False) -> str:
    """A page around `body`. Its policy forbids every connection, and every style and script but our own.

    searched: whether it finds hospitals by name, which takes a style and a script more.
    """
    styles, scripts = _parts(searched)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(searched)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        *(tag("style", Markup(one)) for one in styles),
    )
    whole = tag("html", head, tag("body", body, *(tag("script", Markup(one)) for one in scripts)), lang="en")
    return f"<!doctype html>\n{whole}\n"


def policy(searched: bool = True) -> str:
    """Content-Security-Policy: pictures from within the page, our styles and scripts by their hash, nothing else."""
    styles, scripts = (" ".join(f"'{_hash(one)}'" for one in parts) for parts in _parts(searched))
    return (
        f"default-src 'none'; img-src data:; style-src {styles}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )


def _parts(searched: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Styles and scripts."""
    return ((STYLE, FINDER_STYLE), (SCRIPT, FINDER_SCRIPT)) if searched else ((STYLE,), (SCRIPT,))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


IDS = {
    "Result": "result",
    "Evaluation": "evaluation",
    "Certainty": "evaluation",
    "Find": "find",
    "Fine-tuning": "tuned",
    "Collapse": "collapse",
    "Learning": "learning",
    "Groups": "subgroups",
    "Worst and best": "extremes",
    "Features": "features",
    "Pictures": "pictures",
    "Data": "data",
    "What left": "left",
    "Privacy": "privacy",
    "Time": "time",
    "Rounds": "rounds",
    "Study": "study",
}


def _contents(shown: dict[str, Markup]) -> Markup:
    return tag("nav", *(tag("a", word, href=f"#{IDS[word]}") for word in shown), aria_label="Sections")


def _foot(run: Run) -> Markup:
    words = joined(["Run folder ", tag("code", run.name), escaped(". The figures of this page are in ")])
    return tag("footer", words, tag("code", "summary.json"), ", every round in ", tag("code", "rounds.jsonl"), ".")
