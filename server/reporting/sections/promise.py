"""A promise of privacy on the first page: epsilon, its relation, what it is for several, what it leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, exp

from server.reporting.markup import Markup, table, tag
from server.reporting.records import Beside, Privacy, Uncovered
from server.reporting.wording import plain, score

UNBOUNDED = "without bound"
LARGEST_FACTOR_SAID = 1e6
PROMISED = "What is promised"
TITLE = "What the promise does not cover"
OTHERS = (
    "For other changes epsilon is larger. Worked out for {site}, as no hospital spends more; in others these differ "
    "somewhat."
)
HEADS = ("What", "Told to, or seen by", "Why it is not covered")


def promise_in_short(promise: Privacy) -> Markup:
    """A sentence with epsilon, its relation and the larger epsilons beside it; then the table of what is open."""
    return tag(
        "div",
        tag("h3", PROMISED),
        tag("p", in_short(promise)),
        beside_list(promise.beside, promise.unit, promise.delta),
        uncovered_table(promise.not_covered),
        class_="figure",
        id="promise",
    )


def in_short(promise: Privacy) -> str:
    """The worst epsilon of any hospital, and between which data it holds."""
    worst = max((one.epsilon or 0.0 for one in promise.sites.values()), default=0.0)
    unbounded = any(one.epsilon is None for one in promise.sites.values())
    epsilon = UNBOUNDED if unbounded else f"{score(worst)} at most"
    said = [
        f"Differential privacy for one {promise.unit}: epsilon is {epsilon}, at delta {_small(promise.delta)}.",
        _meaning(promise, None if unbounded else worst),
        neighbours(promise.relation),
        "Every round that a hospital was charged for counts, those that failed or were repeated included.",
    ]
    return " ".join(sentence for sentence in said if sentence)


def _meaning(promise: Privacy, epsilon: float | None) -> str:
    """What epsilon bounds, as a factor; empty where that is no bound anybody can use."""
    if epsilon is None or exp(min(epsilon, 700.0)) > LARGEST_FACTOR_SAID:
        return ""
    return (
        f"No conclusion from what was let out becomes more than {_factor(epsilon)} times as likely through one "
        f"{promise.unit}'s data, but for a chance of delta."
    )


def _factor(epsilon: float) -> str:
    """Rounded up, as a bound must be."""
    factor = exp(epsilon)
    return f"{ceil(100 * factor) / 100:.2f}" if factor < 10 else f"{ceil(factor):,}"


def neighbours(relation: str) -> str:
    """Which two data sets epsilon compares, as a sentence; empty where a run does not say."""
    name, colon, change = relation.partition(": ")
    if not relation:
        return ""
    change, name = (change, f" ({name})") if colon else (relation, "")
    return f"Epsilon compares the data as they are with the same after one change{name}: {change}."


def beside_list(beside: Beside | None, unit: str, delta: float | None) -> Markup | None:
    """None where nothing was spent, or a run does not say."""
    if beside is None or not beside.site:
        return None
    lines = beside_sentences(beside, unit, delta)
    return tag("div", tag("p", OTHERS.format(site=beside.site)), tag("ul", *(tag("li", line) for line in lines)))


def beside_sentences(beside: Beside, unit: str, delta: float | None) -> Iterator[str]:
    """Of an exchange, of related units, and of one person in several hospitals."""
    at = f"at the same delta {_small(delta)}"
    yield f"One {unit}'s data exchanged for another's (substitution): epsilon {_epsilon(beside.exchanged)}, {at}."
    if beside.together:
        several = _several(beside.together)
        who = "related patients, as of one family" if unit == "patient" else f"{unit}s that belong together"
        yield f"{who[0].upper()}{who[1:]}: epsilon {several}, {at}."
    if beside.in_hospitals and unit != "hospital":
        several = _several(beside.in_hospitals)
        yield f"One person's data in several hospitals (their epsilons add): epsilon {several}, {at}."


def uncovered_table(rows: Sequence[Uncovered]) -> Markup | None:
    """None where a run does not say."""
    if not rows:
        return None
    cells = [[row.what, row.to_whom, row.why] for row in rows]
    return tag("div", tag("h3", TITLE), table(list(HEADS), cells, words=3), class_="uncovered")


def _several(epsilons: Sequence[tuple[int, float | None]]) -> str:
    return ", ".join(f"{_epsilon(epsilon)} for {k}" for k, epsilon in epsilons)


def _epsilon(value: float | None) -> str:
    return UNBOUNDED if value is None else score(value)


def _small(value: float | None) -> str:
    return "unknown" if value is None else plain(value)
