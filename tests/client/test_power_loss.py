"""The power goes at every single write of a round, and the folder that is opened afterwards goes on as before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import _ledger_file
from client.audit_log import verify
from client.ledger import Ledger
from common.data.cases import SiteId
from common.learning.client_work import Work
from common.study.study import Study
from common.sums.exchange import Payload
from common.sums.update import Vector
from tests.client.played_rounds import FEDAVG, SCAFFOLD, SECAGG, VICTIM, Federation, images, study_of
from tests.client.test_two_studies import memories

WRITES = ("fsync", "replace", "rename", "link", "unlink", "ftruncate", "mkdir", "write")


CHEAP = ("scaffold", "own parts")
DRILLS = "WARDROUND_DRILLS"
"""In the environment: dear rounds are tried at every write too, and not at every eleventh."""
LEGS_OF_A_ROUND = ("keys", "shares", "round", "survivors", "unmask")
ROUND = 2
"""The round in which the power goes; one before it leaves state, and one after it finds what is left."""


class PowerLossError(BaseException):
    """No program catches it, and nothing is written after it."""


@contextmanager
def power(lost_at: int, after: bool) -> Iterator[list[str]]:
    """Every write of this process is counted; that of number `lost_at` does not come back, nor does any later one.

    after: it took place. What was counted is in the list.
    """
    counted: list[str] = []

    def hooked(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            counted.append(name)
            if len(counted) < lost_at or not lost_at:
                return real(*args, **kwargs)
            if len(counted) == lost_at and after:
                real(*args, **kwargs)
            raise PowerLossError

        return write

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            real = getattr(os, name) if name != "fsync" else lambda file: None
            patch.setattr(os, name, hooked(name, real))
        patch.setattr(_ledger_file, "commit", hooked("commit", _ledger_file.commit))
        yield counted


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images(tmp_path_factory.mktemp("images"))


KINDS = {
    "scaffold": ((), SCAFFOLD),
    "secagg": ((f"aggregation={SECAGG}",), SCAFFOLD),
    "own parts": (('strategy="fedavg"', "training.personal=['*.bias']"), FEDAVG),
    "dpsgd": (
        ('strategy="fedavg"', 'privacy={name="dpsgd",noise_multiplier=1.0,delta=1e-3}'),
        FEDAVG,
    ),
    "distributed": (
        (
            'strategy="fedsgd"',
            "training={batch_size=8}",
            f"aggregation={SECAGG}",
            'privacy={name="distributed",noise_multiplier=1.0,delta=1e-3,sampling_rate=0.5,colluding=1}',
        ),
        Work("gradient"),
    ),
}


@dataclass
class Powered(Federation):
    """The power of one hospital goes at its write number `lost_at` of a round; 0: never."""

    lost_at: int = 0
    after: bool = False
    legs: tuple[str, ...] = ()
    writes: list[str] = field(default_factory=list)

    def answer(self, leg: str, site: SiteId, request: Payload) -> Payload:
        if site != VICTIM or self.number != ROUND or leg not in self.legs:
            return super().answer(leg, site, request)
        before = len(self.writes)
        with power(max(self.lost_at - before, 0), self.after) as counted:
            try:
                return super().answer(leg, site, request)
            finally:
                self.writes += counted

    def survive(self) -> np.ndarray:
        """The rounds from ROUND on. Where the power goes the coordinator asks for the whole round again."""

        def before(number: int) -> None:
            if number == ROUND and self.lost_at:
                with pytest.raises(PowerLossError):
                    self.play(number, *self.state)
                assert len(self.writes) >= self.lost_at
                self.lost_at = 0
                self.restart(VICTIM)

        masked = self.study.aggregation.name == "secagg"  # whose rounds are dear, and compared by what they leave
        return self.rounds(ROUND if masked else ROUND + 1, before=before)


def charges(own: Path) -> list[tuple[str, int]]:
    with suppress(Exception):
        return [(one.kind, one.round) for one in Ledger(own / VICTIM).contents().entries]
    return []


@dataclass(frozen=True)
class Begun:
    """A federation after its first round, and how it goes on where nothing happens."""

    study: Study
    own: Path
    work: Work
    state: tuple[Vector, Vector | None]

    @classmethod
    def of(cls, kind: str, data: Path, place: Path) -> Begun:
        more, work = KINDS[kind]
        own = place / "own"
        one = Federation(study_of(data, own, *more), own, work=work)
        with power(0, False):
            one.rounds(1)
        return cls(one.study, own, work, one.state)

    def gone_on(self, place: Path, lost_at: int = 0, after: bool = False) -> Powered:
        shutil.copytree(self.own, place)
        one = Powered(self.study, place, work=self.work, lost_at=lost_at, after=after, number_done=1)
        one.legs = ("round",) if self.study.privacy is not None else LEGS_OF_A_ROUND
        one.state = self.state
        one.restart(VICTIM)
        with power(0, False):
            one.survive()
        return one


@pytest.mark.parametrize("kind", KINDS)
def test_the_power_may_go_at_any_write_of_a_round(kind: str, data: Path, tmp_path: Path) -> None:
    """Before each write, and when all are done and only the answer has not left.

    A share of noise must not come twice. So its charge counts once more where the power goes in the instant between
    the note's end and the answer's way out, and only there; a study has spare rounds for that.
    """
    begun = Begun.of(kind, data, tmp_path)
    whole = begun.gone_on(tmp_path / "whole")
    kept, spent = memories(whole.own, whole.study, whole.run), charges(whole.own)
    last = len(whole.writes)
    assert last > 10
    released = last - whole.writes[::-1].index("unlink") if kind == "distributed" else last + 1
    stride = 1 if kind in CHEAP or os.environ.get(DRILLS) else 11
    for lost_at in [*range(1, last + 1, stride), *range(last - 1, last + 1), 0]:
        one = begun.gone_on(tmp_path / str(lost_at), lost_at or last, after=not lost_at)
        words = f"{kind}: lost at {lost_at} of {last} ({whole.writes[lost_at - 1]})"
        twice = spent[ROUND - 1 : ROUND] if (lost_at or last) > released else []
        assert charges(one.own) == [*spent[:ROUND], *twice, *spent[ROUND:]], words
        assert verify(one.own / VICTIM).fault is None, words
        if not spent:
            np.testing.assert_array_equal(one.state[0], whole.state[0], words)
            np.testing.assert_equal(memories(one.own, one.study, one.run), kept, words)
        shutil.rmtree(one.own)
