"""The top of the page: what was run, how it ended, and what came out, in one sentence and five numbers."""

from __future__ import annotations

from server.reporting.comparison import LEVEL, TOGETHER, Comparison
from server.reporting.losses import Losses
from server.reporting.markup import Child, Markup, tag
from server.reporting.records import Run
from server.reporting.sections.collapse import alarm
from server.reporting.sections.left_out import left_out
from server.reporting.sections.promise import promise_in_short
from server.reporting.summary import bytes_moved, outcome
from server.reporting.wording import capital, count, duration, score, score_name, size

STATES = {
    "completed": ("Completed", "good", "✓"),
    "completed with problems": ("Completed, with problems", "warn", "!"),
    "stopped": ("Stopped", "warn", "■"),
    "failed": ("Failed", "bad", "✕"),
    "running": ("Running", "warn", "…"),
}
OF_FEATURES = (
    "That is how well it does what it was trained to do without labels; what its features are worth, wardround probe "
    "says, beside those of an untrained encoder."
)
SPLITS = {"test": "test patients", "validation": "validation patients", "train": "training patients"}


def opening(run: Run, comparison: Comparison) -> Markup:
    """Title, state, main finding and key figures."""
    about, losses = run.about, Losses(run)
    return tag(
        "header",
        tag(
            "p",
            tag("span", _kind(run), class_="kind"),
            _badge(outcome(run, losses)),
            class_="overline",
        ),
        tag("h1", about.title or about.study or run.name),
        tag("p", finding(run, comparison), class_="finding"),
        alarm(run),
        _state_note(run),
        *(tag("p", problem, class_="banner warn") for problem in run.problems),
        left_out(losses),
        _tiles(run, len(losses.took_part)),
        None if run.privacy is None else promise_in_short(run.privacy),
        _trusts(run),
    )


def _kind(run: Run) -> str:
    return "Evaluation report" if run.about.rounds_planned == 0 else "Federated training report"


def _trusts(run: Run) -> Markup | None:
    """Whom the hospitals have to trust, or what else the protection rests on."""
    said = run.about.trusts
    if not said:
        return None
    trusting = any(sentence.startswith("This study trusts") for sentence in said)
    title = "Whom this study trusts" if trusting else "What the promise rests on"
    return tag("div", tag("h3", title), tag("ul", *(tag("li", each) for each in said)), class_="figure", id="trusts")


def _badge(state: str) -> Markup:
    word, look, sign = STATES.get(state, (capital(state) or "State unknown", "warn", "?"))
    return tag("span", f"{sign} {word}", class_=f"badge {look}")


def _state_note(run: Run) -> Child:
    state, reason = run.about.state, run.about.reason
    done = f"after round {run.rounds_done}" if run.rounds_done else "before the first round finished"
    if state == "completed":
        return tag("p", run.about.ended_early, class_="note") if run.about.ended_early else None
    if state in ("stopped", "failed"):
        cause = f": {reason}" if reason else "; no reason was recorded."
        return tag("p", f"The run {state} {done}{cause}", class_=f"banner {STATES[state][1]}")
    return tag("p", f"The run had not ended when this page was written, {done}.", class_="banner warn")


def finding(run: Run, comparison: Comparison) -> str:
    """The main figure in a sentence, and of a task without labels what it leaves open."""
    said = _finding(run, comparison)
    return f"{said} {OF_FEATURES}" if run.about.watched and run.final else said


def _finding(run: Run, comparison: Comparison) -> str:
    mean = comparison.mean("federated")
    if mean is None:
        if not run.rounds_done:
            return "No round finished, so there is no model to judge."
        return f"{capital(count(run.rounds_done, 'round'))} finished, but no score was recorded."
    if run.about.rounds_planned == 0:
        return _scored(run, comparison, mean)
    name, split = score_name(comparison.score), SPLITS.get(comparison.split, "patients")
    hospitals = len(comparison.shared)
    where = f"the {split} of {hospitals} hospitals" if hospitals > 1 else f"the {split} of one hospital"
    kind = "a mean" if hospitals > 1 else "an" if name[:1].lower() in "aeio" else "a"
    if TOGETHER in comparison.federated:
        where = f"the {split} of all hospitals together"
    after = "" if comparison.split == "test" else f", after round {comparison.of_round}"
    start = f"Learned together, the model reaches {kind} {name} of {score(mean)} on {where}{after}"
    against = _against(comparison, mean)
    return f"{start}: {against}.{_sure(run, comparison)}" if against else f"{start}.{_sure(run, comparison)}"


def _sure(run: Run, comparison: Comparison) -> str:
    """The score of all patients together with its interval; it is no mean over hospitals."""
    ends = run.interval(comparison.split, comparison.score)
    value = run.final[comparison.split].pooled.get(comparison.score) if comparison.split in run.final else None
    if ends is None or value is None:
        return ""
    whose = SPLITS.get(comparison.split, "patients")
    return f" Over all {whose} as one it is {score(value)} (95 % interval {score(ends[0])} to {score(ends[1])})."


def _scored(run: Run, comparison: Comparison, mean: float) -> str:
    """Where nothing was trained: the score of all patients together, with its interval if there is one."""
    together = (
        run.final[comparison.split].pooled.get(comparison.score, mean) if comparison.split in run.final else mean
    )
    ends = run.interval(comparison.split, comparison.score)
    said = f" (95 % interval {score(ends[0])} to {score(ends[1])})" if ends else ""
    whose = f"the {SPLITS.get(comparison.split, 'patients')} of all hospitals together"
    reached = f"{_a(comparison.score)} of {score(together)}{said}"
    return f"Scored without any training here, the model reaches {reached} on {whose}."


def _a(name: str) -> str:
    word = score_name(name)
    return f"{'an' if word[:1].lower() in 'aeio' else 'a'} {word}"


def _against(comparison: Comparison, mean: float) -> str:
    parts = []
    alone = len(comparison.shared) == 1 and TOGETHER not in comparison.federated
    own = "the hospital's own model" if alone else "the hospitals' own models"
    local, pooled = comparison.mean("local"), comparison.mean("pooled")
    if local is not None:
        parts.append(f"{_step(mean - local)} {own} trained alone ({score(local)})")
    if pooled is not None:
        parts.append(f"{_step(mean - pooled)} one model trained on all data in one place ({score(pooled)})")
    return ", and ".join(parts)


def _step(change: float) -> str:
    if abs(change) < LEVEL:
        return "level with"
    return f"{score(abs(change))} {'above' if change > 0 else 'below'}"


def _tiles(run: Run, hospitals: int) -> Markup:
    moved, planned = bytes_moved(run), run.about.rounds_planned
    rounds = f"{run.rounds_done} of {planned}" if planned else str(run.rounds_done)
    patients = sum(holding.patients.get("train", 0) for holding in run.roster.holdings)
    scored = sum(holding.patients.get("test", 0) for holding in run.roster.holdings)
    tiles = [
        (str(hospitals), "hospital took part" if hospitals == 1 else "hospitals took part"),
        (f"{patients:,}" if patients and planned != 0 else "", "patients trained on"),
        (f"{scored:,}" if scored and planned == 0 else "", "patients scored"),
        (rounds if planned != 0 else "", "rounds"),
        (size(moved["received"]) if moved["received"] else "", "left the hospitals"),
        (duration(run.about.seconds) if run.about.seconds is not None else "", "in all"),
    ]
    shown = [tag("div", tag("b", value), tag("span", words), class_="tile") for value, words in tiles if value]
    return tag("div", *shown, class_="tiles")
