"""A stranger's attack, question and adversary, each one file, run by the command; what fails ends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from experiments.audit.cast import Cast, cast_of
from experiments.audit.conduct import Attacked, attacked
from experiments.audit.records import Trial
from experiments.audit.report.page import SCHEMA
from experiments.audit.run import Run
from experiments.audit.verdict import verdicts
from experiments.engines._quiet import run_quietly
from tests.experiments.judging import cast_for
from wardround.testing.audits import tiny_run

Wardround = Callable[..., tuple[int, str]]
PLAIN = ("strategy=fedsgd", "training={batch_size=1}", "rounds=1")
ATTACK = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from experiments.attack import Finding

@dataclass(frozen=True)
class Ward:
    sees: ClassVar[str] = "each"
    source: ClassVar[str] = "a test"
    question: ClassVar[str] = "{question}"
    words: ClassVar[str] = "measures how long an update is"

    def run(self, observed, rng, budget_seconds):
        {body}
        length = max(float(np.linalg.norm(one.update.mean()[0])) for one in observed.singles)
        return Finding("ward", observed.observer, True, figures={{"length": length}}, claims=("secret of a patient",))

attack = Ward
"""


@pytest.mark.usefixtures("few_attacks")
def test_three_foreign_files_take_part_in_an_audit_by_the_command(
    tiny: Callable[..., Study], wardround: Wardround, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("question", "adversary"):
        assert wardround("new", kind, f"ward_{kind}")[0] == 0
    Path("loudness.py").write_text(ATTACK.format(question="ward_question", body="pass"))
    run_quietly(tiny(*PLAIN, "federation.record_traffic=true"), tmp_path / "finished")
    named = ("--attack", "loudness.py", "--question", "ward_question.py", "--adversary", "ward_adversary.py")
    code, said = wardround("audit", "./finished", "--seconds", "0.5", *named)
    assert code == 0, said
    found = json.loads(Path("finished/audit.json").read_text())
    jsonschema.validate(found, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
    own = [trial for trial in found["trials"] if trial["kind"] == "ward_question"]
    assert {(trial["attack"], trial["observer"]) for trial in own} == {
        ("loudness", "coordinator"),
        ("loudness", "ward_adversary"),
    }
    assert all(trial["possible"] and trial["figures"]["length"] > 0 for trial in own)
    assert {one["kind"]: len(one["sha256"]) for one in found["plugins"]} == {
        "attack": 64,
        "question": 64,
        "adversary": 64,
    }
    lights = found["verdicts"][0]["lights"]
    assert lights["ward_question"] == "green" and "ward_adversary" in lights
    page = Path("finished/audit.html").read_text()
    assert "Standing out" in page and "If somebody overhears?" in page and "measures how long an update is" in page
    assert "loudness.py" in found["command"] and "--adversary" in found["command"]


BODIES = {
    "raises": "raise ValueError('x')",
    "runs out of memory": "raise MemoryError()",
    "exits": "raise SystemExit(3)",
    "recurses": "return self.run(observed, rng, budget_seconds)",
    "gives nothing": "return None",
    "gives no number": "return Finding('ward', 'x', True, figures={'length': float('nan')})",
    "gives another shape": (
        "from experiments.attack import Reconstruction as R; return Finding('ward', 'x', True, "
        "reconstructions=(R(1, (observed.sites[0],), np.zeros((1, 2), np.float32)),))"
    ),
    "names a stranger": (
        "from experiments.attack import Reconstruction as R; return Finding('ward', 'x', True, "
        "reconstructions=(R(1, ('nobody',), np.zeros((1, *observed.shape.inputs), np.float32)),))"
    ),
}


def _found(cast: Cast, run: Run | None = None) -> tuple[Attacked, list[Trial]]:
    found = attacked(run or tiny_run(PLAIN), cast)
    return found, [trial for trial in found.trials if trial.attack == "ward"]


def _with(tmp_path: Path, body: str) -> Cast:
    (tmp_path / "ward.py").write_text(ATTACK.format(question="reconstruction", body=body))
    with trusting(ANYTHING):
        loaded = cast_of([("attack", str(tmp_path / "ward.py"))])
    return replace(cast_for(), attacks={name: loaded.attacks[name] for name in ("ward", "analytic")})


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_whatever_an_attack_does_is_a_trial_with_a_reason_and_amber(tmp_path: Path, body: str) -> None:
    cast = _with(tmp_path, body)
    found, own = _found(cast)
    assert own and all(not trial.possible and trial.reason for trial in own)
    assert any(trial.attack == "analytic" and trial.possible for trial in found.trials)
    run = tiny_run(PLAIN)
    for verdict in verdicts(run.observed.sites, own, run, cast):
        assert verdict.lights["reconstruction"] == "amber"
        assert any("ward came to no end, and proves nothing" in words for _, words in verdict.reasons)


class Broken:
    """Fails wherever it is asked."""

    share, place, title, asks, heading = 1.0, 1, "Broken", "Is it broken?", "Whole?"
    who, condition = "nobody", ""

    def fails(self, *_: object) -> object:
        raise RuntimeError("out of order")

    views = scored = reasons = standing = plants = fails


def test_a_question_or_an_adversary_that_fails_ends_nothing() -> None:
    ours, run = cast_for(attacks=["analytic"]), tiny_run(PLAIN)
    cast = replace(ours, adversaries={**ours.adversaries, "broken": Broken()})  # type: ignore[dict-item]
    found, _ = _found(cast)
    assert any(trial.possible for trial in found.trials)
    cast = replace(ours, questions={**ours.questions, "reconstruction": Broken()})  # type: ignore[dict-item]
    found, _ = _found(cast)
    assert found.trials and not any(trial.possible for trial in found.trials)
    lights = {light for one in verdicts(run.observed.sites, found.trials, run, cast) for light in one.lights.values()}
    assert lights == {"amber"}


def test_an_attack_that_never_looks_at_the_clock_takes_the_time_of_others_and_no_more(tmp_path: Path) -> None:
    cast = _with(tmp_path, "import time; time.sleep(0.5)")
    found, own = _found(cast, replace(tiny_run(PLAIN), seconds=0.1))
    assert all(trial.possible and trial.seconds >= 0.5 for trial in own)
    assert any(trial.attack == "analytic" and trial.possible for trial in found.trials)


def test_what_is_named_and_not_there_is_said_before_anything_is_tried(tmp_path: Path) -> None:
    (tmp_path / "ward.py").write_text(ATTACK.format(question="reconstructon", body="pass"))
    with pytest.raises(StudyError, match="did you mean 'reconstruction'"):
        cast_of([("attack", str(tmp_path / "ward.py"))])
    with pytest.raises(StudyError, match="did you mean 'coordinator'"):
        cast_of([("adversary", "coordinater")])
