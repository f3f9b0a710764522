"""The one sentence that opens an audit: what happened, to whom, and under which condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.audit.records import Light, Report, Topic, Verdict
from experiments.audit.words import ORDER
from server.reporting.wording import count

CONDITIONS: Mapping[Topic, str] = {
    "colluding": "the other hospitals collude with the coordinator, against which this run promised nothing",
    "cheating": "the coordinator cheats, with models made to copy data",
}
HAPPENED: Mapping[Topic, str] = {
    "rebuilt": "a patient's data came back",
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


def opening_sentence(report: Report) -> str:
    """What was found, in one sentence."""
    by_light = {light: [v.site for v in report.verdicts if v.light == light] for light in ORDER}
    red, amber = by_light["red"], by_light["amber"]
    if red:
        return f"For {_named(red)} {_happened(report, 'red', HAPPENED)}. What would stop it is below."
    for topic, condition in CONDITIONS.items():
        opened = [verdict.site for verdict in report.verdicts if verdict.lights.get(topic) == "amber"]
        if opened:
            return f"For {_named(opened)} a patient's data came back, but only if {condition}; the reasons are below."
    weak = [verdict.site for verdict in report.verdicts if _topics(verdict, "amber") & set(WEAK)]
    if weak:
        return f"For {_named(weak)} {_happened(report, 'amber', _weak(report))}; the reasons are below."
    if amber:
        return (
            f"For {_named(amber)} nothing was found that identifies a patient, and yet something is weaker than it "
            "could be; the reasons are below."
        )
    return f"None of the attacks that were tried got at a patient's data{_kept(report)}."


def _weak(report: Report) -> Mapping[Topic, str]:
    """Whether what came back is this patient's, below the limit for red, or only like a patient's."""
    dimly = any(one.identifies for trial in report.trials if trial.honest for one in trial.rebuilt)
    return {**WEAK, "rebuilt": DIMLY} if dimly else WEAK


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


def _topics(verdict: Verdict, light: Light) -> set[Topic]:
    return {topic for topic, found in verdict.lights.items() if found == light}


def _happened(report: Report, light: Light, said: Mapping[Topic, str]) -> str:
    """The topics of that light at any hospital, in words."""
    topics = {topic for verdict in report.verdicts for topic in _topics(verdict, light)}
    return " and ".join(words for topic, words in said.items() if topic in topics) or "an attack succeeded"


def _named(sites: Sequence[str]) -> str:
    return ", ".join(sites) if len(sites) <= 3 else count(len(sites), "hospital")
