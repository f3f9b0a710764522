"""What every adversary of an audit must do."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.adversary import Adversary, View
from experiments.audit.run import Run
from wardround.testing.audits import tiny_run
from wardround.testing.laws import check_options

PLAIN = ("strategy=fedsgd", "training={batch_size=1}", "rounds=1")
SUMS = (*PLAIN, "aggregation=secagg")


class AdversaryTests:
    """Inherit, and bind `adversary` to one. What it must see, and what not, is for its own tests."""

    adversary: Adversary

    @pytest.fixture
    def made(self) -> Any:
        """The adversary."""
        return self.adversary

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """What it did must be possible to do again. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_it_says_who_it_is_and_what_nobody_promised(self, made: Any) -> None:
        """An officer reads it. Mend: `who` as a subject; `condition` goes on after "if"; "" of who only looks."""
        assert len(made.who) > 3 and isinstance(made.condition, str) and isinstance(made.heading, str)
        assert made.share > 0, "`share` is above 0"
        assert not made.condition.rstrip().endswith((",", ".", ":")), "a condition goes on: it ends without a stop"

    @pytest.mark.parametrize("overrides", [PLAIN, SUMS])
    def test_its_views_are_of_the_run_or_say_why_there_is_none(self, made: Any, overrides: tuple[str, ...]) -> None:
        """Mend: yield View(observed, knowledge="..."), or View(observed, reason="...")."""
        run = tiny_run(overrides)
        views = list(made.views(run))
        assert all(isinstance(one, View) for one in views)
        for one in views:
            assert one.reason or one.knowledge, "a view says what the adversary was given, or why it has nothing"
            assert one.observed.study == run.study, "an attack is told the study that was run"
            assert one.site in ("", *run.observed.sites), f"{one.site!r} is no hospital of the run"

    @pytest.mark.parametrize("overrides", [PLAIN, SUMS])
    def test_one_that_keeps_to_the_protocol_reads_no_more_than_the_coordinator(
        self, made: Any, overrides: tuple[str, ...]
    ) -> None:
        """Else its findings are no fault of the run. Mend: say the `condition` under which it reads more."""
        run = tiny_run(overrides)
        if made.condition:
            pytest.skip("it takes what nobody promised, and says so")
        for one in made.views(run):
            self._check_within(one, run)

    def test_it_sees_the_same_every_time(self, made: Any) -> None:
        """Mend: everything random comes from the study's seed."""
        first, second = (list(made.views(tiny_run(PLAIN))) for _ in range(2))
        assert [(one.site, one.knowledge, one.reason) for one in first] == [
            (one.site, one.knowledge, one.reason) for one in second
        ]

    def _check_within(self, view: View, run: Run) -> None:
        known = {(one.round, one.site) for one in run.observed.singles}
        assert {(one.round, one.site) for one in view.observed.singles} <= known, "it reads updates that nobody read"
        assert len(view.observed.sums) <= len(run.observed.sums), "it reads sums that nobody read"
