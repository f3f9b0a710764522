"""Whatever a stranger's attack leaves behind, what others found is told, and page and figures can be written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from common.errors import StudyError
from experiments.adversary import View
from experiments.attack import Finding
from experiments.audit.cast import cast_of
from experiments.audit.conduct import Effort, attacked
from experiments.audit.conduct import _about as about_of
from experiments.audit.conduct import _report as report_of
from experiments.audit.dossier.assembling import with_sheet
from experiments.audit.dossier.schema import fault_of
from experiments.audit.records import Trial
from experiments.audit.report.page import json_of, page_of
from experiments.audit.strangers import checked_plants, checked_trial, checked_views
from experiments.question import Plant
from tests.experiments.judging import cast_for
from wardround.testing.audits import tiny_run

PLAIN = ("strategy=fedsgd", "training={batch_size=1}", "rounds=1")
Body = Callable[[Any], Finding]


def raising(error: BaseException) -> Body:
    def body(observed: Any) -> Finding:
        raise error

    return body


def found(**told: Any) -> Body:
    return lambda observed: Finding(**{"attack": "stranger", "observer": "x", "possible": True, **told})


def emptied(observed: Any) -> Finding:
    for table in (observed.models, observed.orders, observed.cases, observed.access.candidates):
        table.clear()
    return Finding("stranger", "x", True)


def otherwise(observed: Any) -> Finding:
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    np.seterr(all="raise")
    return Finding("stranger", "x", True)


BODIES: dict[str, Body] = {
    "is cancelled": raising(asyncio.CancelledError("x")),
    "ends as a generator does": raising(GeneratorExit()),
    "empties what it is shown": emptied,
    "sets libraries otherwise": otherwise,
    "names figures by numbers": found(figures={3: 1.0}),
    "gives words for figures": found(figures={"length": "<b>long"}),
    "gives figures without end": found(figures={"length": float("inf")}),
    "has settings of any kind": found(settings={3: np.arange(3), "x": object(), ("a",): {1: {2}}}),
    "is perhaps possible": found(possible="perhaps"),
    "gives a number for a reason": found(possible=False, reason=17),
    "has no end of reasons": found(possible=False, reason="\x1b[31m<script>alert(1)</script>" + "x" * 1_000_000),
}


@dataclass(frozen=True)
class Stranger:
    body: Body
    sees: ClassVar[str] = "each"
    source: ClassVar[str] = "a test"

    def run(self, observed: Any, rng: np.random.Generator, budget_seconds: float) -> Finding:
        return self.body(observed)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_others_found_stands_on_the_page_and_in_the_figures(body: Body) -> None:
    run, ours = replace(tiny_run(PLAIN), seconds=0.1), cast_for(["reconstruction"], ["analytic"])
    attacks: dict[str, Any] = {"aardvark": Stranger(body), "analytic": ours.attacks["analytic"]}
    cast = replace(ours, attacks=attacks, asked=frozenset({"aardvark"}))
    alone, with_it = attacked(run, ours).trials, attacked(run, cast).trials
    assert [t.figures for t in alone if t.possible] == [
        t.figures for t in with_it if t.attack == "analytic" and t.possible
    ]
    own = [trial for trial in with_it if trial.attack == "aardvark"]
    assert own and all(len(trial.reason) <= 1000 and "\x1b" not in trial.reason for trial in own)
    report = report_of(run, about_of(run.folder), Effort(), ours, attacked(run, cast))
    report = with_sheet(report, run.study, run.folder)
    assert fault_of(json.loads(json_of(report))) is None
    assert "<script>alert(1)" not in page_of(report)


def test_an_audit_can_be_interrupted() -> None:
    ours = cast_for(["reconstruction"], ["analytic"])
    attacks: dict[str, Any] = {"aardvark": Stranger(raising(KeyboardInterrupt()))}
    with pytest.raises(KeyboardInterrupt):
        attacked(tiny_run(PLAIN), replace(ours, attacks=attacks, asked=frozenset({"aardvark"})))


def test_a_trial_of_a_hospital_that_was_not_attacked_is_none() -> None:
    trial = Trial("a", "reconstruction", "coordinator", "there", "?", "", "")
    with pytest.raises(StudyError, match="was not attacked"):
        checked_trial(trial, "here", ("here", "there"))
    with pytest.raises(StudyError, match="was not attacked"):
        checked_trial(trial, "", ("here",))
    assert checked_trial(trial, "", ("here", "there")).site == "there"


def test_views_and_plants_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="no View of an Observation"):
        checked_views([View(None)])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no Plant"):
        checked_plants(["no noise"])
    with pytest.raises(StudyError, match="from once to 100 times"):
        checked_plants([Plant("no noise", View(tiny_run(PLAIN).observed), repeats=10**9)])


@pytest.mark.parametrize(("member", "value"), [("sees", "all"), ("needs", ("keys",)), ("per", "ward")])
def test_a_named_attack_that_asks_for_what_there_is_not_is_refused_before_anything_is_tried(
    member: str, value: object, tmp_path: Any
) -> None:
    from common.study.plugins import ANYTHING, trusting

    text = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n@dataclass(frozen=True)\nclass Ward:\n"
        "    sees: ClassVar[str] = 'each'\n    source: ClassVar[str] = 'a test'\n"
        f"    {member}: ClassVar = {value!r}\n"
        "    def run(self, observed, rng, budget_seconds): ...\nattack = Ward\n"
    )
    (tmp_path / "ward.py").write_text(text)
    with trusting(ANYTHING), pytest.raises(StudyError, match="attack '"):
        cast_of([("attack", str(tmp_path / "ward.py"))])
