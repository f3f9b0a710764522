"""Runs whose updates travel in fewer bytes: the same everywhere and after a stop, and what an audit reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from common.compression.scaled_integers import ScaledIntegers
from common.study.study import Study
from common.sums.exchange import Payload
from experiments.audit.claims import claim_of
from experiments.engines._quiet import Outcome, run_quietly
from experiments.evidence.observing import observe, sent_orders
from experiments.evidence.recomputed_updates import own_updates
from server.compressed_rounds import Reading
from server.reporting.folder import read_run
from server.reporting.records import Run
from server.reporting.sections.compression import compression
from server.reporting.summary import summary_of

INT8 = "federation.compression={kind='int8'}"
TOP_K = "federation.compression={kind='top_k', share=0.1}"
RANDOM_K = "federation.compression={kind='random_k', share=0.3}"
NARROW = "value_bits=8, largest_value=0.005"
SECAGG = f"aggregation={{name='secagg', {NARROW}}}"


def test_processes_and_a_resumed_run_end_with_the_model_of_a_whole_one(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    whole = run_quietly(tiny("rounds=2", TOP_K), tmp_path / "whole")
    run_quietly(tiny("rounds=1", TOP_K), tmp_path / "parts")
    resumed = run_quietly(tiny("rounds=2", TOP_K, "engine=processes"), tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]
    _assert_reported(whole, read_run(tmp_path / "whole"))


def _assert_reported(whole: Outcome, run: Run) -> None:
    """Of two rounds of four hospitals of 314 values each."""
    found, page = summary_of(run)["compression"], str(compression(run)).replace("\xa0", " ")
    assert found["update_bytes_in_full"] == 2 * 4 * 314 * 4
    assert found["update_bytes"] == sum(one["bytes"]["received"] for one in whole.rounds)
    first = [one["compression_error"] for one in whole.rounds[0]["training"].values()]
    assert min(first) < found["lost_by_round"]["1"] < max(first)
    assert "10.0 kB in full, at 4 bytes each" in page
    assert any("10 % of its values that are largest" in one for one in whole.about["trusts"])


def test_a_sum_of_few_bits_is_the_same_whoever_adds_it_up_and_its_range_widens(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    outcomes = {}
    for name in ("secagg", "additive", "ckks"):
        sums = f"aggregation={{name='{name}', {NARROW}}}"
        outcomes[name] = run_quietly(tiny("rounds=2", INT8, sums), tmp_path / name)
    assert len({one.about["model_sha256"] for one in outcomes.values()}) == 1
    masked = outcomes["secagg"].rounds
    assert masked[0]["range"]["factor"] > 1 and masked[0]["range"]["clipped"] <= 0.02
    assert 0 < masked[1]["training_of_all"]["compression_error"] < 1


def test_a_resumed_sum_over_drawn_places_is_that_of_a_run_that_never_stopped(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    own = (RANDOM_K, "aggregation=secagg")
    whole = run_quietly(tiny("rounds=2", *own), tmp_path / "whole")
    run_quietly(tiny("rounds=1", *own), tmp_path / "parts")
    resumed = run_quietly(tiny("rounds=2", *own), tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]


@pytest.mark.parametrize("own", [(INT8,), (TOP_K,)], ids=["int8", "top_k"])
def test_what_the_audit_reads_is_what_arrived_and_what_hospitals_send_again(
    tiny: Callable[..., Study], tmp_path: Path, own: tuple[str, ...]
) -> None:
    run_quietly(tiny("rounds=2", "federation.record_traffic=true", *own), tmp_path)
    seen, orders = observe(tmp_path), sent_orders(tmp_path)
    told = claim_of(seen.study, tmp_path, 4, seen.sites).trusts
    assert ("depends on the hospital's patients" in " ".join(told)) == (own == (TOP_K,))
    read = {(one.round, one.site): one.update.vectors[0] for one in seen.singles}
    again = own_updates(seen.study, orders, seen.sites, [1, 2])
    assert len(read) == 8 and not seen.opaque
    assert all(np.array_equal(read[key], again[key].vectors[0]) for key in read)
    if own == (TOP_K,):
        kept = {np.count_nonzero(one) / one.size for one in read.values()}
        assert max(kept) < 0.11


@dataclass
class Says:
    """Every hospital's answer as it is given."""

    answers: Mapping[str, Payload]
    dropped: dict[str, str] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[str, Payload]) -> dict[str, Payload]:
        return {site: self.answers[site] for site in requests}

    def drop(self, site: str, leg: str, reason: str) -> None:
        self.dropped[site] = reason


def test_whoever_sends_what_cannot_be_read_is_dropped_alone() -> None:
    form = ScaledIntegers(8, 4)
    good = form.pack(np.arange(9.0), np.random.default_rng(0))
    bad = good.copy()
    bad[:2] = 0xFF
    answers = {
        "good": Payload(data=good),
        "scores only": Payload(numbers={"test/accuracy": [1, 1]}),
        "in full": Payload(np.zeros(9, np.float32)),
        "both": Payload(np.zeros(9, np.float32), data=good),
        "nothing": Payload(),
        "no scale": Payload(data=bad),
    }
    says = Says(answers)
    reading = Reading(says, form, 9, frozenset(answers) - {"scores only"})
    read = reading.ask("round", dict.fromkeys(answers, Payload()))
    assert set(read) == {"good", "scores only"}
    assert read["good"].array is not None and np.array_equal(read["good"].array, form.unpack(good, 9))
    assert says.dropped.keys() == {"in full", "both", "nothing", "no scale"}
    assert says.dropped["in full"] == "the update is not compressed as the study says."
    assert reading.ask("keys", {"in full": Payload()}) == {"in full": answers["in full"]}
