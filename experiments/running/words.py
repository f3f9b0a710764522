"""A run in words: one line for a log, the states of many hospitals, times, a curve in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.running.view import RunView, SiteState
from server.progress import Event, RoundFinished, RunFinished, RunStarted
from server.reporting.markup import visible
from server.reporting.wording import count, duration, score, score_name, shortened, size

SPARKS = "▁▂▃▄▅▆▇█"
STATE_WORDS: Mapping[SiteState, str] = {
    "replied": "replied",
    "training": "training",
    "dropped": "dropped",
    "idle": "not selected",
    "waiting": "waiting",
}


def plain_line(view: RunView, event: Event) -> str:
    """What is worth a line in a log; "" for the rest."""
    match event:
        case RunStarted():
            return f"{one_line(event.title)}: {count(len(event.sites), 'hospital')}, {count(event.rounds, 'round')}"
        case RoundFinished():
            return _round_line(view)
        case RunFinished():
            return finish_line(event)
    return ""


def _round_line(view: RunView) -> str:
    record = view.last
    if record is None:
        return ""
    evaluation = record.evaluation
    pooled = evaluation.pooled.get(view.headline) if evaluation else None
    nothing = "no case to measure it on, " if pooled is None else ""
    after = f"({nothing}after round {evaluation.of_round})" if evaluation else ""
    scored = f"{score_name(view.headline)} {score(pooled)} {after}" if evaluation else ""
    parts = (
        f"round {record.number} of {view.rounds}",
        f"loss {score(view.loss)}",
        scored,
        f"{len(record.contributed)} of {len(record.selected)} hospitals",
        size(record.sent + record.received),
        duration(record.seconds.get("total")),
        one_line(record.taken_back),
        one_line(record.collapse),
    )
    return "  ".join(part for part in parts if part)


def finish_line(event: RunFinished) -> str:
    """How the run ended and where it lies. One that completed still has its pictures and report to come; why another
    stopped is the error that follows.
    """
    if event.collapse:
        said = " ".join(one for one in (event.ended_early, event.collapse) if one)
        return f"{event.state}: {said} (in {event.folder})"
    if event.state == "completed" and event.ended_early:
        return f"{event.ended_early} Pictures and report follow (in {event.folder})"
    if event.state == "completed":
        return f"all rounds are done; pictures and report follow (in {event.folder})"
    return f"{event.state} (in {event.folder})"


def times(view: RunView) -> str:
    """Time gone and time to come."""
    gone, left = f"{duration(view.elapsed_s)} gone", view.remaining_s
    return f"{gone}, about {duration(left)} left" if left else gone


def census(view: RunView) -> str:
    """How many hospitals are in which state, where they are too many for a row each."""
    states = [(view.count(state), word) for state, word in STATE_WORDS.items()]
    words = ", ".join(f"{number} {word}" for number, word in states if number)
    return f"{count(len(view.sites), 'hospital')}: {words}"


def sparkline(values: Sequence[float]) -> str:
    """One block a value, from the lowest to the highest."""
    if not values:
        return ""
    low, span = min(values), max(values) - min(values)
    heights = [(value - low) / span if span > 0 else 0.5 for value in values]
    return "".join(SPARKS[min(int(height * len(SPARKS)), len(SPARKS) - 1)] for height in heights)


def one_line(text: str, most: int = 400) -> str:
    """Text from outside, without line breaks and characters that a terminal would obey."""
    return shortened(" ".join(visible(text).split()), most)
