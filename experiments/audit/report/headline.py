"""The few sentences that open an audit: what happened, to whom, and under which condition."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

from common.data.cases import SiteId
from experiments.audit.cast import Cast, cast_of_report
from experiments.audit.records import Light, Report, Verdict
from experiments.question import Question
from server.reporting.wording import count

WEAKER = "nothing was found that identifies a patient, and yet something is weaker than it could be"
UNFINISHED = "some attacks prove nothing, for they did not finish or were too weak to be seen to succeed"
MOST_NAMED = 3
Fact = tuple[str, SiteId]
"""What happened, in words, and one hospital of which it is so."""
Said = TypeVar("Said", bound=Hashable)
BAD: tuple[Light, ...] = ("red", "amber")


def opening_sentence(report: Report) -> str:
    """What was found, the worst first and what needs a condition last: a sentence each, at most three."""
    cast, sites = cast_of_report(report), [verdict.site for verdict in report.verdicts]
    said = [_clauses(facts, sites) for light in BAD if (facts := _found(report, light, cast))]
    said += _on_condition(report, sites, cast)
    weaker = [(WEAKER, verdict.site) for verdict in report.verdicts if verdict.light != "green"]
    if not said and weaker:
        said = [_clauses(weaker, sites)]
    if not said:
        return f"None of the attacks that were tried got at a patient's data{_kept(report)}."
    return ". ".join(said) + "; the reasons, and what to change, are below."


def _found(report: Report, light: Light, cast: Cast) -> list[Fact]:
    """What happened, or weakly did, by the lights of the questions."""
    found = (
        (words, verdict.site)
        for name, question in cast.in_order()
        for verdict in report.verdicts
        if verdict.lights.get(name) == light and (words := _happening(question, name, verdict.site, light, report))
    )
    return list(dict.fromkeys(found))


def _is_unfinished(name: str, site: SiteId, report: Report) -> bool:
    """Whether the light is only of attempts that prove nothing; planted faults that nobody saw are another matter."""
    told_nothing = any(one.site == site and name in one.could_not_tell for one in report.verdicts)
    return told_nothing and not any(one.question == name for one in report.power)


def _happening(question: Question, name: str, site: SiteId, light: Light, report: Report) -> str:
    if light == "amber" and _is_unfinished(name, site, report):
        return UNFINISHED
    if hasattr(question, "happening"):
        return str(question.happening(site, light, [trial for trial in report.trials if trial.kind == name]))
    return str(getattr(question, "happened" if light == "red" else "weakly", ""))


def _on_condition(report: Report, sites: Sequence[SiteId], cast: Cast) -> list[str]:
    """A sentence of the hospitals of which something came out under a condition only; none where there is none."""
    facts = [(words, verdict.site) for verdict in report.verdicts for words in _conditional(verdict, cast)]
    groups = list(_grouped(facts).items())
    if not groups:
        return []
    (what, condition), named = groups[0]
    said = f"For {_named(named, sites)} {what}, but only if {condition}"
    for (others, another), more in groups[1:]:
        again = "" if others == what else f"{others}, "
        said += f"; for {_named(more, sites)}, {again}only if {another}"
    return [said]


def _conditional(verdict: Verdict, cast: Cast) -> Iterator[tuple[str, str]]:
    """What came out, and all conditions under which it did; nothing that came out without one."""
    by_words: dict[str, list[str]] = {}
    for name, by in verdict.conditional:
        question, adversary = cast.questions.get(name), cast.adversaries.get(by)
        words = str(getattr(question, "happened", ""))
        if words and adversary is not None and verdict.lights.get(name) != "red":
            by_words.setdefault(words, []).append(str(adversary.condition))
    yield from ((words, ", or if ".join(conditions)) for words, conditions in by_words.items())


def _clauses(facts: Sequence[Fact], sites: Sequence[SiteId]) -> str:
    """One for all that the same hospitals share: "For a and b this happened and that; for c another"."""
    shared: dict[tuple[SiteId, ...], list[str]] = {}
    for words, named in _grouped(facts).items():
        shared.setdefault(tuple(named), []).append(words)
    said = "; ".join(f"for {_named(named, sites)} {_listed(words)}" for named, words in shared.items())
    return said[0].upper() + said[1:]


def _listed(words: Sequence[str]) -> str:
    """With a comma where a part may hold an "and" of its own."""
    return (", and " if any(" and " in one or "," in one for one in words) else " and ").join(words)


def _grouped(facts: Sequence[tuple[Said, SiteId]]) -> dict[Said, list[SiteId]]:
    """The hospitals of each fact, facts and hospitals in the order they came in."""
    groups: dict[Said, list[SiteId]] = {}
    for words, site in facts:
        groups.setdefault(words, []).append(site)
    return groups


def _kept(report: Report) -> str:
    """What is known of the promised epsilon."""
    promised, unmeasured = len(report.claim.epsilon), len(unmeasured_sites(report))
    if not promised:
        return ""
    if not unmeasured:
        return ", and the promised epsilon held as far as measured"
    where = "" if unmeasured == promised else f" at {count(unmeasured, 'hospital')}"
    return f"; whether the promised epsilon is kept was not measured{where}"


def unmeasured_sites(report: Report) -> frozenset[str]:
    """Hospitals to which an epsilon was promised that no attempt has measured."""
    measured = {trial.site for trial in report.trials if trial.kind == "epsilon" and trial.possible}
    return frozenset(report.claim.epsilon) - measured


def _named(named: Sequence[SiteId], sites: Sequence[SiteId]) -> str:
    """By name where they are few, else how many of the study's."""
    if len(named) > MOST_NAMED:
        many = "all" if len(named) == len(sites) else f"{len(named)} of"
        return f"{many} {len(sites)} hospitals"
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
