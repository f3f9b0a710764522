"""The study as it was run: everything one needs to run it again and compare."""

from __future__ import annotations

from server.reporting.markup import Markup, tag
from server.reporting.records import Run
from server.reporting.sections.layout import facts, numbers, section
from server.reporting.wording import SCORE_MEANINGS, TIMES, capital, listed, score_name

ENGINES = {
    "inline": "inline: all hospitals in one process",
    "processes": "processes: one real process a hospital on one machine",
    "simulation": "simulation: Flower's simulation runtime",
    "nodes": "nodes: a node in every hospital, over mutual TLS and a SuperLink of Flower's",
}
TERMS = {
    "round": "the coordinator sends the model to hospitals, they train it on their own patients and send back how it "
    "changed, and the coordinator averages the changes",
    "federated": "learned together in rounds; the data stay where they are",
    "pooled": "trained on all data in one place, which is what federated training avoids; shown to compare with",
    "test patients": "patients kept apart and never used in training",
    "loss": "what training makes smaller, on the cases that the model learns from",
}
MOST_PROGRAMS = 200


def settings(run: Run) -> Markup:
    """Settings, versions, hashes, and the words of this page."""
    return section(
        "study",
        "The study as run",
        run.about.description or "Two runs of this study with the same seed give the same model, bit for bit.",
        facts(_pairs(run)),
        numbers("study.toml, every setting", tag("pre", run.study_text)) if run.study_text else None,
        numbers("Words used on this page", _glossary(run)),
    )


def _plugins(run: Run) -> Markup | None:
    """Code that is not Wardround's; none in most runs."""
    lines = [tag("div", f"{name} ", tag("code", digest)) for name, digest in run.about.plugins.items()]
    return tag("div", *lines) if lines else None


def _planned(run: Run) -> Markup | None:
    """Of a network that configured itself; none in most runs."""
    lines = [tag("li", sentence) for sentence in run.planned]
    return tag("ul", *lines, class_="plain") if lines else None


def _programs(run: Run) -> Markup | None:
    """Who ran what, as each says itself: one line where all ran the same, else one for each program."""
    sites: dict[tuple[str, str], list[str]] = {}
    for site, program in sorted(run.about.programs.items()):
        sites.setdefault(program, []).append(site)
    alone = len(sites) == 1
    lines = [
        tag("div", f"{_who(names, alone)}{versions or 'nothing is known of it'} ", tag("code", digest))
        for (digest, versions), names in list(sites.items())[:MOST_PROGRAMS]
    ]
    if len(sites) > MOST_PROGRAMS:
        lines.append(tag("div", f"and {len(sites) - MOST_PROGRAMS:,} more programs, in about.json"))
    return tag("div", *lines) if lines else None


def _who(sites: list[str], alone: bool) -> str:
    return ("all hospitals: " if len(sites) > 1 else "") if alone else f"{listed(sites, most=5)}: "


def _pairs(run: Run) -> list[tuple[str, str | None]]:
    about, roster = run.about, run.roster
    return [
        ("Study", about.study or run.name),
        ("Task", about.task),
        ("Strategy", about.strategy),
        ("Aggregation", about.aggregation),
        ("Source of the data", about.source),
        ("Partition", roster.partition),
        ("Engine", ENGINES.get(about.engine, about.engine)),
        ("Device", about.device),
        ("Seed", about.seed),
        ("Started", about.started),
        ("Shape of one input", f" {TIMES} ".join(map(str, roster.shape))),
        ("Parameters of the model", f"{about.parameters:,}" if about.parameters else ""),
        ("Versions", ", ".join(f"{name} {version}" for name, version in about.versions.items())),
        ("Programs of the hospitals, as they say themselves", _programs(run)),
        ("Model it began from" if run.about.rounds_planned else "Model that was scored", about.began_from),
        ("Settings found from sums of all hospitals", _planned(run)),
        ("Plug-ins, with the SHA-256 of their files", _plugins(run)),
        ("SHA-256 of the parameters", tag("code", about.model_sha256) if about.model_sha256 else None),
    ]


def _glossary(run: Run) -> Markup:
    headline = run.about.headline
    terms = {score_name(headline): SCORE_MEANINGS[headline]} if headline in SCORE_MEANINGS else {}
    rows = [(capital(term), f"{meaning}.") for term, meaning in (terms | TERMS).items()]
    return facts([*rows])
