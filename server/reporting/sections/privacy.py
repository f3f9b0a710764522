"""What was promised about single patients or hospitals, in plain words, and how much of it each hospital spent."""

from __future__ import annotations

from math import inf

from common.data.names import SiteId
from server.reporting.by_hospital import ByHospital, folded
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, tag
from server.reporting.records import Privacy, Run, Spent
from server.reporting.sections.layout import beside, facts, figure, section
from server.reporting.sections.promise import beside_list, neighbours
from server.reporting.wording import NOTHING, plain, score

MOST_LINES = 8
WHOSE = {
    "patient": "one patient's data, all of that patient's cases together",
    "sample": "one single case; a patient with several cases is protected less",
    "hospital": "all data of one hospital together",
}
PLACES = {
    "hospital": "Each hospital adds the noise itself, before anything leaves it: nobody outside has to be trusted.",
    "server": "The coordinator adds the noise to the sum: the promise is towards those who see the models, and not "
    "towards the coordinator, which sees the sum without noise.",
    "shares": "Each hospital adds a share of the noise, and only the sum has all of it: the promise rests on the sum "
    "being made so that no single share is seen.",
}
NO_PROMISE = (
    "This run promised no differential privacy: there is no bound on what its models and updates tell of a single "
    "patient, and no epsilon. The study's section privacy adds one."
)
SIMULATED = (
    "The noise of this run came from the study's seed, so that it can be repeated. Anyone who knows the seed can "
    "take it off again: figures of a simulation show what a deployment would promise, and protect nobody."
)
SPENT = "Every hospital's noise, rounds and epsilon"
MEANING = (
    "Epsilon bounds how much more likely any conclusion becomes by one unit's data being there or not: by a factor "
    "of at most e to the power epsilon, but for the small chance delta. An epsilon of 1 is a factor of 2.7, of 10 "
    "one of 22,000. Smaller is better; what was spent is added up over all rounds by a tight and proven bound."
)


def privacy(run: Run) -> Markup | None:
    """None before the first round."""
    if not run.rounds and run.privacy is None:
        return None
    if run.privacy is None:
        return section("privacy", "What is promised about a patient", NO_PROMISE)
    promise = run.privacy
    return section(
        "privacy",
        "What is promised about a patient" if promise.unit != "hospital" else "What is promised about a hospital",
        lede(promise),
        tag("p", PLACES.get(promise.place, "")),
        tag("p", SIMULATED, class_="banner warn") if promise.noise_source.startswith("seed") else None,
        beside(figure("Epsilon spent, round by round", _chart(promise)), figure("The promise", _facts(promise))),
        folded(run, spent(promise), SPENT, _by_epsilon(promise), "who spent most and who spent least"),
        beside_list(promise.beside, promise.unit, promise.delta),
        tag("p", MEANING, class_="note"),
    )


def lede(promise: Privacy) -> str:
    """Whose presence is hidden, and how well at worst."""
    epsilons = [one.epsilon for one in promise.sites.values() if one.epsilon is not None]
    whose = WHOSE.get(promise.unit, "one unit")
    if not epsilons or max(epsilons) == 0:
        return f"The study hides {whose}. Nothing was released, so nothing was spent."
    low, high = min(epsilons), max(epsilons)
    many = (
        f"{score(high)} in every hospital"
        if score(low) == score(high)
        else f"{score(low)} to {score(high)}, by hospital"
    )
    said = f"What was let out hides {whose}: epsilon is {many}, at delta {_small(promise.delta)}."
    return f"{said} {neighbours(promise.relation)}".strip()


def _chart(promise: Privacy) -> Markup:
    sites = sorted(promise.sites, key=lambda site: -(promise.sites[site].epsilon or 0.0))[:MOST_LINES]
    lines = [
        Line(site, tuple((float(at), epsilon) for at, epsilon in promise.sites[site].curve), f"c{k}")
        for k, site in enumerate(sorted(sites), 1)
    ]
    return line_chart(lines, describe="epsilon over rounds", x_word="round", words=score)


def _facts(promise: Privacy) -> Markup:
    return facts(
        [
            ("Mechanism", promise.mechanism),
            ("Hidden", f"one {promise.unit}"),
            ("Delta", _small(promise.delta)),
            ("Noise from", promise.noise_source),
            ("Neighbours", promise.relation),
            ("Not covered", "see the table at the top of the page" if promise.not_covered else None),
        ]
    )


def _by_epsilon(promise: Privacy) -> list[SiteId]:
    epsilons = {site: inf if one.epsilon is None else one.epsilon for site, one in promise.sites.items()}
    return sorted(epsilons, key=lambda site: (-epsilons[site], site))


def spent(promise: Privacy) -> ByHospital:
    """Of every hospital."""
    heads = [
        "Patients",
        "Rounds charged",
        "Noisy sums",
        "Share drawn",
        "Noise / clip",
        "Epsilon",
        "by RDP",
    ]
    rows = {site: _row(one) for site, one in promise.sites.items()}
    return ByHospital("privacy", "Noise, rounds and epsilon", heads, rows)


def _row(one: Spent) -> list[str]:
    return [
        f"{one.patients:,}",
        str(one.rounds),
        str(one.rounds * one.steps_a_round),
        score(one.sampling_rate),
        score(one.noise_multiplier),
        score(one.epsilon),
        score(one.epsilon_rdp),
    ]


def _small(value: float | None) -> str:
    return NOTHING if value is None else plain(value)
