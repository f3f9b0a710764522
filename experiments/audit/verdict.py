"""From findings to a light for each hospital, by rules that name themselves: each question's own, and three of all.

What an adversary needs a condition for weighs one light less. What came to no end proves nothing. And what was held
is so only where a fault that was planted on purpose would have been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from common.data.cases import SiteId
from experiments.attack import UNTRIED
from experiments.audit.cast import Cast
from experiments.audit.plan import USED_UP, failure
from experiments.audit.records import FAILED, NOT_POWERFUL, WORST, Light, Power, Reason, Trial, Verdict
from experiments.audit.run import Run

ENOUGH = 0.8
"""Of planted faults: the power that a test is commonly asked for."""
MORE_SECONDS = "Audit the run again with more time, as `wardround audit RUN --seconds 600`: it ran out here."
PROVES_NOTHING, LIKE_ATTACK = "and proves nothing", "and a like attack may succeed"
MILDER: dict[Light, Light] = {"red": "amber", "amber": "green", "green": "green"}


def verdicts(
    sites: Sequence[SiteId], trials: Sequence[Trial], run: Run, cast: Cast, power: Sequence[Power] = ()
) -> tuple[Verdict, ...]:
    """One for every hospital, in the order given: the worst light of its rules."""
    return tuple(_verdict(site, trials, run, cast, power) for site in sites)


@dataclass
class _Found:
    """By column of the table of lights; and what got at the hospital under a condition only."""

    reasons: list[tuple[str, Reason]] = field(default_factory=list)
    conditional: dict[tuple[str, str], None] = field(default_factory=dict)

    def add(self, column: str, reasons: Iterable[Reason]) -> None:
        self.reasons += [(column, reason) for reason in reasons]

    @property
    def lights(self) -> dict[str, Light]:
        columns = dict.fromkeys(column for column, _ in self.reasons)
        return {column: worst(one for about, one in self.reasons if about == column) for column in columns}

    @property
    def could_not_tell(self) -> tuple[str, ...]:
        """Columns whose every objection is that a test was not powerful enough, or came to no end."""
        objections: dict[str, list[str]] = {}
        for column, (light, words, _) in self.reasons:
            if light != "green":
                objections.setdefault(column, []).append(words)
        return tuple(name for name, said in objections.items() if all(map(_tells_nothing, said)))


def _verdict(site: SiteId, trials: Sequence[Trial], run: Run, cast: Cast, power: Sequence[Power]) -> Verdict:
    own, found = [trial for trial in trials if trial.site in ("", site)], _Found()
    for name, question in cast.in_order():
        if standing := getattr(question, "standing", None):
            about = [trial for trial in own if trial.kind == name]
            found.add(name, _guarded(partial(standing, site, about, run), name))
    for trial in own:
        found.add(_column(trial, cast), _untold(trial))
        if trial.possible:
            _judge(site, trial, run, cast, found)
    for name in dict.fromkeys(one.question for one in power):
        if found.lights.get(name) == "green" and any(trial.possible and trial.kind == name for trial in own):
            found.add(name, _too_weak(name, power, cast))
    reasons = sorted((reason for _, reason in found.reasons), key=lambda reason: -WORST.index(reason[0]))
    advice = tuple(dict.fromkeys(change for light, _, change in reasons if change and light != "green"))
    said = tuple((light, rule) for light, rule, _ in reasons)
    lights, conditional = found.lights, tuple(found.conditional)
    return Verdict(site, worst(reasons), said, advice, lights, conditional, found.could_not_tell)


def _tells_nothing(words: str) -> bool:
    return any(said in words for said in (NOT_POWERFUL, PROVES_NOTHING, LIKE_ATTACK))


def worst(reasons: Iterable[Reason]) -> Light:
    """Light of all."""
    return max((light for light, _, _ in reasons), key=WORST.index, default="green")


def _column(trial: Trial, cast: Cast) -> str:
    """An adversary that has a column of its own has all that it found there."""
    adversary = cast.adversaries.get(trial.observer)
    return trial.observer if adversary is not None and adversary.heading else trial.kind


def _judge(site: SiteId, trial: Trial, run: Run, cast: Cast, found: _Found) -> None:
    column = _column(trial, cast)
    if trial.refused:
        who = cast.adversaries[trial.observer].who if trial.observer in cast.adversaries else trial.observer
        words = f"{who[:1].upper()}{who[1:]} is refused by a hospital that checks: {trial.refused}."
        found.add(column, [("green", words, "")])
        return
    question = cast.questions[trial.kind]
    reasons = _guarded(partial(question.reasons, site, trial, run), trial.attack)
    if trial.condition:
        reasons = [(MILDER[light], f"If {trial.condition} {words}", change) for light, words, change in reasons]
        if any(light != "green" for light, _, _ in reasons):
            found.conditional[trial.kind, trial.observer] = None
    found.add(column, reasons)


def _guarded(rules: Callable[[], Iterable[Reason]], name: str) -> list[Reason]:
    """What a question's own rules say; that they failed where they do."""
    try:
        found = list(rules())
        if any(len(one) != 3 or one[0] not in WORST for one in found):
            raise TypeError("a rule gives (light, words, what to change)")
    except BaseException as error:  # noqa: BLE001 - a stranger's question
        return [("amber", f"The rules on {name} came to no end, and prove nothing: {failure(error)}.", "")]
    return found


def _untold(trial: Trial) -> Iterator[Reason]:
    """An attack that this program does not have, or that failed, is no proof that there is none."""
    if trial.settings.get(FAILED):
        more = MORE_SECONDS if trial.reason == USED_UP else ""
        yield "amber", f"{trial.attack} came to no end, {PROVES_NOTHING}: {trial.reason}.", more
    if trial.settings.get(UNTRIED):
        yield "amber", f"{trial.attack} was not tried, {LIKE_ATTACK}: {trial.reason}.", ""


def _too_weak(name: str, power: Sequence[Power], cast: Cast) -> Iterator[Reason]:
    """Faults that no attack would have seen often enough, or that none could be shown."""
    own, not_shown = [one for one in power if one.question == name], dict[str, list[str]]()
    for fault in dict.fromkeys(one.fault for one in own):
        best = max((one for one in own if one.fault == fault), key=lambda one: (one.seen / max(1, one.of), one.of))
        if not best.of:
            not_shown.setdefault(best.reason or "no attack here takes them", []).append(fault)
        elif best.seen < ENOUGH * best.of:
            yield (
                "amber",
                f"{cast.questions[name].title}: {NOT_POWERFUL}. A planted fault ({fault}) would have "
                f"been seen in {best.seen} of {best.of} tries.",
                "Measure again with more time, or on more data; until then the promise stands on trust.",
            )
    for reason, faults in not_shown.items():
        title = cast.questions[name].title
        words = f"{title}: {NOT_POWERFUL}. No test here could be shown these faults ({'; '.join(faults)}): {reason}."
        yield "amber", words, "Until such faults can be looked for, that there are none stands on trust."
