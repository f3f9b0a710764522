"""A hospital that is lost between its answer and the opening of the sum that it is in: a whole federation goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from common.data.cases import SiteId
from common.errors import TooFewHospitalsError
from common.study.study import Study
from common.sums.exchange import Payload
from experiments.engines._quiet import Outcome, run_quietly
from server import rounds
from server.checkpoint import load
from server.exchange import GridExchange

VICTIM = "hospital-1"
Losing = Callable[[int, str], None]


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Losing:
    """From a leg of a round on the victim is not reached, until the next round."""
    ask = GridExchange.as_they_come
    lost: dict[int, str] = {}
    gone: set[int] = set()

    def asked(
        self: GridExchange, leg: str, requests: Mapping[SiteId, Payload]
    ) -> Iterator[tuple[SiteId, Payload | None]]:
        if lost.get(self.round) == leg:
            gone.add(self.round)
        reached = {site: one for site, one in requests.items() if site != VICTIM or self.round not in gone}
        return ask(self, leg, reached)

    monkeypatch.setattr(GridExchange, "as_they_come", asked)
    return lost.__setitem__


def scaffold(tiny: Callable[..., Study], aggregation: str, *more: str) -> Study:
    common = ("rounds=4", "strategy=scaffold", "federation.least_in_sum=3", "federation.evaluate_every=0")
    return tiny(
        *common, "training={batch_size=8,steps=2}", f"aggregation={{name='{aggregation}',threshold=3}}", *more
    )


def contributed(outcome: Outcome) -> list[int]:
    return [len(record["contributed"]) for record in outcome.rounds]


@pytest.mark.parametrize("aggregation", ["secagg", "bfv"])
@pytest.mark.parametrize("leg", ["survivors", "unmask"])
def test_its_state_is_that_of_the_sum_it_is_in(
    aggregation: str, leg: str, tiny: Callable[..., Study], tmp_path: Path, losing: Losing
) -> None:
    study = scaffold(tiny, aggregation)
    whole = run_quietly(study, tmp_path / "whole")
    losing(2, leg)
    hit = run_quietly(study, tmp_path / "hit")
    assert contributed(hit) == [4, 4, 4, 4]
    assert hit.about["model_sha256"] == whole.about["model_sha256"]
    assert load(tmp_path / "hit").owed == ()


def test_the_proof_outlives_a_crash_of_the_server(
    tiny: Callable[..., Study], tmp_path: Path, losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = scaffold(tiny, "secagg")
    whole = run_quietly(study, tmp_path / "whole")
    losing(2, "unmask")
    losing(3, "keys")
    hand_over = rounds.hand_over

    def crash(exchange: Any, owed: Any, asked: Any) -> Any:
        if exchange.round == 3:
            raise TooFewHospitalsError("stopped here")
        return hand_over(exchange, owed, asked)

    monkeypatch.setattr(rounds, "hand_over", crash)
    with pytest.raises(TooFewHospitalsError, match="stopped here"):
        run_quietly(study, tmp_path / "hit")
    (owed,) = load(tmp_path / "hit").owed
    assert (owed.number, owed.sites) == (2, (VICTIM,))
    monkeypatch.setattr(rounds, "hand_over", hand_over)
    losing(3, "never")
    resumed = run_quietly(study, tmp_path / "hit", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]


def test_other_strategies_are_owed_nothing(tiny: Callable[..., Study], tmp_path: Path, losing: Losing) -> None:
    losing(4, "unmask")
    run_quietly(scaffold(tiny, "secagg", "strategy=fedavg"), tmp_path)
    assert load(tmp_path).owed == ()
