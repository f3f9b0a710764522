"""The few sentences that open an audit: what happened, to whom, and under which condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from common.data.cases import SiteId
from experiments.audit.records import Report, Topic, Verdict
from server.reporting.wording import count

CONDITIONS: Mapping[Topic, str] = {
    "colluding": "other hospitals collude with the coordinator, against which this run promised nothing",
    "cheating": "the coordinator cheats, with models made to copy data",
}
BACK = "a patient's data came back"
HAPPENED: Mapping[Topic, str] = {
    "readers": "the sums that were opened tell its own update apart",
    "rebuilt": BACK,
    "members": "one can tell who was a patient of the study",
    "epsilon": "a promise of privacy was broken",
}
"""Of a red topic, for the opening sentence."""
WEAK: Mapping[Topic, str] = {
    "rebuilt": "something like patients' data came back, in which nobody in particular is recognised",
    "members": "one can tell better than by guessing who was a patient of the study",
}
"""The same of an amber one."""
DIMLY = "a patient is recognised in what came back, though dimly"
WEAKER = "nothing was found that identifies a patient, and yet something is weaker than it could be"
MOST_NAMED = 3
Fact = tuple[str, SiteId]
"""What happened or under which condition it would, in words, and one hospital of which it is so."""


def opening_sentence(report: Report) -> str:
    """What was found, the worst first and what needs a condition last: a sentence each, at most three."""
    sites = [verdict.site for verdict in report.verdicts]
    said = [_clauses(facts, sites) for facts in (_happened(report), _weakly(report)) if facts]
    said += _on_condition(report, sites)
    weaker = [(WEAKER, verdict.site) for verdict in report.verdicts if verdict.light != "green"]
    if not said and weaker:
        said = [_clauses(weaker, sites)]
    if not said:
        return f"None of the attacks that were tried got at a patient's data{_kept(report)}."
    return ". ".join(said) + "; the reasons, and what to change, are below."


def _happened(report: Report) -> list[Fact]:
    return [(HAPPENED[topic], site) for topic, site in _found(report, "red", HAPPENED)]


def _weakly(report: Report) -> list[Fact]:
    """As `_happened`, of amber topics."""
    dim = {verdict.site for verdict in report.verdicts if _recognised(report, verdict.site)}
    found = _found(report, "amber", WEAK)
    return [(DIMLY if topic == "rebuilt" and site in dim else WEAK[topic], site) for topic, site in found]


def _found(report: Report, light: str, said: Iterable[Topic]) -> Iterator[tuple[Topic, SiteId]]:
    for topic in said:
        yield from ((topic, verdict.site) for verdict in report.verdicts if verdict.lights.get(topic) == light)


def _recognised(report: Report, site: SiteId) -> bool:
    """Whether what came back of this hospital is one patient's, below the limit for red, or only like a patient's."""
    shown = (one for trial in report.trials if trial.honest and trial.possible for one in trial.rebuilt)
    return any(one.identifies for one in shown if one.site == site)


def _on_condition(report: Report, sites: Sequence[SiteId]) -> list[str]:
    """A sentence of the hospitals whose data came back under a condition only; none where there is none."""
    open_ = [verdict for verdict in report.verdicts if verdict.lights.get("rebuilt") != "red"]
    facts = [(words, verdict.site) for verdict in open_ if (words := _conditions(verdict))]
    groups = list(_grouped(facts).items())
    if not groups:
        return []
    words, named = groups[0]
    others = [f"for {_named(more, sites)}, only if {condition}" for condition, more in groups[1:]]
    return ["; ".join([f"For {_named(named, sites)} {BACK}, but only if {words}", *others])]


def _conditions(verdict: Verdict) -> str:
    """All under which data of a hospital came back, in words; empty where there is none."""
    return ", or if ".join(words for topic, words in CONDITIONS.items() if verdict.lights.get(topic) == "amber")


def _clauses(facts: Sequence[Fact], sites: Sequence[SiteId]) -> str:
    """One for all that the same hospitals share: "For a and b this happened and that; for c another"."""
    shared: dict[tuple[SiteId, ...], list[str]] = {}
    for words, named in _grouped(facts).items():
        shared.setdefault(tuple(named), []).append(words)
    said = "; ".join(f"for {_named(named, sites)} {' and '.join(words)}" for named, words in shared.items())
    return said[0].upper() + said[1:]


def _grouped(facts: Sequence[Fact]) -> dict[str, list[SiteId]]:
    """The hospitals of each fact, facts and hospitals in the order they came in."""
    groups: dict[str, list[SiteId]] = {}
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
