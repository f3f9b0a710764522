"""What every privacy mechanism must promise, and say that it costs."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any, ClassVar, get_args

import pytest

from common.errors import StudyError
from common.learning.work import Training
from common.privacy.accounting import epsilon_of
from common.privacy.mechanism import Facts, Mechanism, Place
from common.privacy.release import Release, Unit
from wardround.testing.laws import check_options


class MechanismTests:
    """Inherit, and bind `mechanism` to one; `facts` to those of a hospital and a study in which it can work.

    Where noise is added is in `client` and `server`; tests of it are with the mechanism's own code.
    """

    mechanism: Mechanism
    facts: ClassVar[Facts] = Facts(
        patients=60,
        cases=120,
        hospitals=5,
        rounds=4,
        sends="gradient",
        training=Training(batch_size="full"),
        fewest=4,
        reveals="sum",
    )

    @pytest.fixture
    def made(self) -> Any:
        """The mechanism."""
        return self.mechanism

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """A promise must not change after it was made. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_it_says_whom_it_hides_and_who_adds_the_noise(self, made: Any) -> None:
        """The report's sentences are made of it. Mend: `unit` and `place` are among the words of their types."""
        assert made.unit in get_args(Unit), f"unit {made.unit!r} is none of {get_args(Unit)}"
        assert made.place in get_args(Place), f"place {made.place!r} is none of {get_args(Place)}"

    def test_its_releases_cost_what_an_accountant_can_work_out(self, made: Any) -> None:
        """An unbounded cost promises nothing. Mend: `round_releases` returns one Release for each noisy sum."""
        made.check(self.facts)
        releases = made.round_releases(self.facts)
        assert releases and all(isinstance(one, Release) for one in releases), f"releases are {releases}"
        bound = epsilon_of(releases, made.delta)
        assert isfinite(bound.epsilon) and bound.epsilon > 0, f"one round costs epsilon {bound.epsilon}"

    def test_two_rounds_cost_more_than_one(self, made: Any) -> None:
        """What was let out stays out. Mend: a round's releases are all that it lets out, whatever came before."""
        once = made.round_releases(self.facts)
        one, two = (epsilon_of(list(once) * times, made.delta).epsilon for times in (1, 2))
        assert two > one, f"two rounds cost {two}, one costs {one}"

    def test_a_delta_that_a_hospital_with_few_units_makes_meaningless_is_refused(self, made: Any) -> None:
        """Whoever publishes one unit in `units` whole keeps delta = 1 / units. Mend:
        common.privacy.accounting.check_delta(self.delta, units) in `check`."""
        crowd = int(2 / made.delta)
        counted = ("hospitals", "fewest") if made.unit == "hospital" else ("patients", "cases")
        with pytest.raises(StudyError, match=r"delta"):
            made.check(replace(self.facts, **dict.fromkeys(counted, crowd)))  # type: ignore[arg-type]
