"""A promise of privacy on the first page: epsilon, its relation, what it is for several, what it leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from server.reporting.markup import Markup, table, tag
from server.reporting.records import Beside, Privacy, Uncovered
from server.reporting.wording import plain, score

UNBOUNDED = "without bound"
TITLE = "What the promise does not cover"
HEADS = ("What", "Told to, or seen by", "Why it is not covered")


def promise_in_short(promise: Privacy) -> Markup:
    """A sentence with epsilon, its relation and the larger epsilons beside it; then the table of what is open."""
    return tag(
        "div",
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
    return (
        f"Epsilon is {epsilon}, at delta {_small(promise.delta)}, for every round that a hospital was charged for, "
        f"those that failed or were repeated included. {neighbours(promise.relation)}"
    )


def neighbours(relation: str) -> str:
    """The relation as a sentence; empty where a run does not say."""
    return f"Neighbours: {relation}." if relation else ""


def beside_list(beside: Beside | None, unit: str, delta: float | None) -> Markup | None:
    """None where nothing was spent, or a run does not say."""
    if beside is None or not beside.site:
        return None
    lines = beside_sentences(beside, unit, delta)
    return tag("ul", *(tag("li", line) for line in lines))


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
