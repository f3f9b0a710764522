"""What every attack must do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite
from pathlib import Path
from time import process_time
from typing import Any, ClassVar, get_args

import numpy as np
import pytest

from common.study.catalogue import SOURCES
from experiments.attack import Attack, Finding, Sees, declared
from experiments.audit.records import Light, Trial
from experiments.audit.run import Run
from experiments.observation import Observation
from wardround.testing.audits import at_random, question_of, tiny_run, tried
from wardround.testing.laws import check_options, no_global_draw
from wardround.testing.runs import observed

EASY = (
    ("strategy=fedsgd", "training={batch_size=1}", "rounds=1"),
    ("strategy=fedsgd", "training={batch_size='full'}", "rounds=1"),
    ("training={batch_size=4, epochs=60, learning_rate=0.3}", "rounds=2"),
)
"""Gradients of single cases; of whole hospitals; models that have their cases by heart."""
_opened: list[list[str]] = []
"""Where files that are opened are noted, while somebody listens."""
_listening: list[bool] = []


class AttackTests:
    """Inherit, and bind `attack` to one. What it finds in an easy case, and where it must fail, is for its own tests.

    budget_seconds: that it is given; patience_seconds: of this process' own time that it may take beyond them. easy:
    a run in which it must find something, as overrides of the tiny study of `wardround.testing.audits`; where there
    are none it is tried on `EASY`, and must find something in one of them. question: of its own, where none of ours
    scores it.
    """

    attack: Attack
    question: Any = None
    easy: ClassVar[tuple[str, ...]] = ()
    budget_seconds: ClassVar[float] = 0.2
    patience_seconds: ClassVar[float] = 20.0

    @pytest.fixture
    def made(self) -> Any:
        """The attack."""
        return self.attack

    @pytest.fixture
    def seen(self) -> Observation:
        """All that the coordinator saw of a tiny run in the clear."""
        return observed("plain")[1]

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """What it did must be possible to do again. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_it_says_what_it_must_see_and_where_it_is_from(self, made: Any) -> None:
        """An audit chooses by it. Mend: `sees` is "each", "sum", "models" or "model"; `source` names the paper,
        or the idea."""
        assert made.sees in get_args(Sees), f"sees {made.sees!r} is none of {get_args(Sees)}"
        assert len(made.source) > 5, "`source` does not say where it is from"

    def test_it_ends_within_its_seconds_with_a_finding_that_can_be_kept(self, made: Any, seen: Observation) -> None:
        """An audit runs many. Mend: look at the clock in every iteration; finite figures; settings=asdict(self)."""
        start = process_time()
        with no_global_draw("run"):
            finding = self._run(made, seen)
        spent = process_time() - start
        assert spent < self.budget_seconds + self.patience_seconds, f"it took {spent:.1f} s, of {self.budget_seconds}"
        _check_finding(finding, seen)

    def test_it_reads_no_truth(self, made: Any, seen: Observation) -> None:
        """An attack that opens a hospital proves nothing of what left it. Mend: read `observed`, and nothing else."""
        folder, _ = observed("plain")
        with _watched(folder, seen) as read:
            self._run(made, seen)
        assert not read, f"it read {read[0]}"

    def test_where_it_sees_too_little_it_says_so_in_words(self, made: Any, seen: Observation) -> None:
        """A verdict counts on the difference between failing and having seen nothing. Mend:
        Finding(name, observed.observer, False, "what it sees instead")."""
        blind = replace(seen, singles=(), sums=(), opaque=())
        summed = observed("secagg")[1]
        alone = replace(blind, models={max(seen.models): seen.final_model})
        less: dict[str, tuple[Observation, ...]] = {
            "each": (summed, blind),
            "sum": (blind,),
            "models": (alone,),
            "model": (),
        }
        needy = less[made.sees]
        if not needy:
            pytest.skip("it needs a model alone, and everybody has that")
        for without in needy:
            finding = self._run(made, without)
            assert not finding.possible, f"it sees {made.sees!r}, was shown less, and says that it was possible"
            assert len(finding.reason) > 5, "it does not say what it sees instead"

    def test_it_finds_what_is_easy_to_find(self, made: Any) -> None:
        """Where it finds nothing in an easy case, its finding nothing says nothing. Mend: claim what was found as the
        question wants it; name a run where it must, easy = ("strategy=fedsgd", "training={batch_size=1}")."""
        if self._claims_nothing(made):
            pytest.skip("it claims nothing that a question could score")
        possible, cases = [], (self._easy(made),) if self._easy(made) else EASY
        for overrides in cases:
            trials, light = self._tried(made, tiny_run(overrides))
            if light != "green":
                return
            possible += trials
        if not possible and not self._easy(made):
            pytest.skip("it is not possible in any of the easy runs: name one that it is made for, as `easy`")
        raise AssertionError(f"it found nothing in any of {cases}")

    def test_in_what_is_random_it_finds_nothing(self, made: Any) -> None:
        """Whoever cries wolf is not believed. Mend: claim nothing that chance gives."""
        if self._claims_nothing(made):
            pytest.skip("it measures figures alone, which noise has as well")
        for overrides in (self._easy(made),) if self._easy(made) else EASY:
            run = at_random(tiny_run(overrides))
            if set(declared(made, "needs")) - {"candidates", "population", "tests"}:
                pytest.skip("hospitals answer it, whatever was sent")
            trials, light = self._tried(made, run)
            assert light != "red", f"it found something in noise, of {overrides}: {[dict(t.figures) for t in trials]}"

    def _tried(self, made: Any, run: Run) -> tuple[list[Trial], Light]:
        if question_of(made, self.question) is None:
            pytest.skip(f"its question, {made.question!r}, is neither ours nor bound by the same file")
        return tried(made, run, self.budget_seconds, self.question)

    def _claims_nothing(self, made: Any) -> bool:
        """Whether it measures figures alone, wherever it is possible."""
        cases = (self._easy(made),) if self._easy(made) else EASY
        found = [self._run(made, tiny_run(overrides).handed) for overrides in cases]
        return any(one.possible for one in found) and not any(one.claims or one.reconstructions for one in found)

    def _easy(self, made: Any) -> tuple[str, ...]:
        """Of this attack, where the class tests several."""
        return self.easy

    def _run(self, made: Any, seen: Observation) -> Any:
        return made.run(seen, np.random.default_rng(0), self.budget_seconds)


def _check_finding(finding: Any, seen: Observation) -> None:
    assert isinstance(finding, Finding), f"it returned {type(finding).__name__}"
    assert finding.attack and finding.observer == seen.observer, "it does not say which attack, or who looked"
    assert finding.possible or finding.reason, "it was not possible, and does not say why"
    strange = [name for name, figure in finding.figures.items() if not isfinite(figure)]
    assert not strange, f"figures {strange} are not finite"
    json.dumps(dict(finding.settings), allow_nan=False)
    for one in finding.reconstructions:
        shapes = f"{one.inputs.shape[1:]}, the network sees {seen.shape.inputs}"
        assert one.inputs.dtype == np.float32 and one.inputs.shape[1:] == seen.shape.inputs, f"inputs are {shapes}"
        assert set(one.sites) <= set(seen.sites), f"{one.sites} are no hospitals of this run"


@contextmanager
def _watched(folder: Path, seen: Observation) -> Iterator[list[str]]:
    """What is read of the run's folder, and of its source, while the block lasts."""
    if not _listening:
        sys.addaudithook(_note)  # it cannot be taken away again
        _listening.append(True)
    found: list[str] = []
    source = SOURCES.load(seen.study.source.name)
    own = source.cases

    def told(self: Any, *given: Any) -> Any:
        found.append("cases of a hospital's source")
        return own(self, *given)

    source.cases = told
    _opened.append(found)
    try:
        yield found
    finally:
        _opened.remove(found)
        source.cases = own
        found[:] = [one for one in found if one.startswith((str(folder), "cases of"))]


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened and event in ("open", "os.listdir", "os.scandir"):
        for found in _opened:
            found.append(str(arguments[0]))
