"""As test_planted_faults_of_learning, of partitions, strategies, sums, attacks, engines and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any, ClassVar

import numpy as np
import pytest

from client.partitions.iid import Iid
from common.data.cases import Cases
from common.errors import RoundError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.sums.aggregations.plain import Plain
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Collected, Payload
from common.sums.update import Update
from common.wire.decoding import update_to_payload
from experiments.attack import Finding, Reconstruction
from experiments.benchmark import Measured, Target
from experiments.engines.inline import Inline
from experiments.evidence.ground_truth import truth_of
from server.strategies.fedavg import FedAvg
from server.strategies.median import Median
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import (
    AggregationTests,
    AttackTests,
    BenchmarkTests,
    EngineTests,
    PartitionTests,
    StrategyTests,
)
from wardround.testing.aggregations import HOSTILE
from wardround.testing.runs import observed


class ByCase(Iid):
    def assign(self, cases: Cases, rng: np.random.Generator) -> Any:
        return np.arange(len(cases)) % self.hospitals


class AllInOne(Iid):
    def assign(self, cases: Cases, rng: np.random.Generator) -> Any:
        return np.zeros(len(cases), np.int64)


class ByPlace(Iid):
    def assign(self, cases: Cases, rng: np.random.Generator) -> Any:
        persons = list(dict.fromkeys(cases.patients.tolist()))
        return np.array([persons.index(person) % self.hospitals for person in cases.patients])


class ByChance(Iid):
    def assign(self, cases: Cases, rng: np.random.Generator) -> Any:
        return super().assign(cases, np.random.default_rng(np.random.randint(1 << 30)))


class OfClassesAlone(Iid):
    def assign(self, cases: Cases, rng: np.random.Generator) -> Any:
        if cases.targets.ndim > 1:
            return np.zeros(len(cases), np.int64)
        return super().assign(cases, rng)


class Relabelling(Iid):
    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        return cases.with_columns(targets=(cases.targets + 1) % 4)


class Centring(Iid):
    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        return cases.with_columns(inputs=cases.inputs - cases.inputs.mean(0))


PARTITIONS = {
    FROZEN: (thawed(Iid),),
    "every_hospital_gets_a_person_and_no_person_is_parted": (ByCase, AllInOne),
    "the_order_of_cases_does_not_matter": (ByPlace,),
    "it_follows_from_its_generator_alone": (ByChance,),
    "too_few_persons_are_refused_with_their_number": (AllInOne,),
    "cases_of_every_sort_are_divided": (OfClassesAlone,),
    "adapting_changes_neither_targets_nor_persons_nor_what_was_given": (Relabelling,),
    "what_a_hospital_sees_of_a_person_follows_that_person_alone": (Centring,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(PARTITIONS))
def test_a_faulty_partition_is_caught(law: str, fault: type) -> None:
    broken(PartitionTests, law, fault(4), *(["outlines"] if "sort" in law else []))


class Loud(FedAvg):
    def broadcast(self, state: Any) -> Any:
        return (np.zeros(4, np.float32),)


class Wide(FedAvg):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        return state, super().step(state, parameters, contributions)[1].astype(np.float64)


class Backwards(FedAvg):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        state, model = super().step(state, parameters, contributions)
        return state, 2 * parameters - model


class ByHospital(FedAvg):
    needs: ClassVar[Any] = "each"

    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        total = sum(update.vectors[0] for update in contributions.each.values()) / len(contributions.each)
        return state, (parameters + total).astype(np.float32)


class Vague(Median):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        raise RoundError("too few hospitals")


class Decaying(FedAvg):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        state, model = super().step(state, parameters, contributions)
        return state, (0.9 * model).astype(np.float32)


class FirstCome(FedAvg):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        first = next(iter(contributions.each.values())).mean()[0]
        return state, (parameters + first).astype(np.float32)


class Forgetful(FedAvg):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        seen = self.__dict__.get("seen", 0) + 1
        object.__setattr__(self, "seen", seen)
        (delta,) = contributions.total.mean()
        return state, (parameters + delta / seen).astype(np.float32)


class InPlace(FedAvg):
    def step(self, state: Any, parameters: Any, contributions: Any) -> Any:
        parameters += contributions.total.mean()[0].astype(np.float32)
        return state, parameters


@dataclass(frozen=True)
class Trusting(FedAvg):
    def __post_init__(self) -> None:
        pass


STRATEGIES = {
    FROZEN: (thawed(FedAvg),),
    "what_is_sent_is_what_is_asked_for": (type("Mute", (FedAvg,), {"needs": "none"}),),
    "one_vector_less_goes_out_beside_the_model_than_comes_back": (Loud,),
    "the_model_stays_float32_and_the_state_float64": (Wide,),
    "a_first_step_goes_downhill_in_every_coordinate": (Backwards,),
    "hospitals_that_agree_are_one_hospital": (ByHospital,),
    "one_hospital_alone_trains_or_is_refused_with_the_number_that_is_needed": (Vague, Backwards),
    "hospitals_that_found_nothing_to_change_change_nothing": (Decaying,),
    "the_order_of_hospitals_does_not_matter": (FirstCome,),
    "the_state_survives_a_checkpoint_and_goes_on_bit_identically": (Forgetful,),
    "nothing_that_is_given_is_changed": (InPlace,),
    "a_learning_rate_that_is_no_positive_number_is_refused": (Trusting,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(STRATEGIES))
def test_a_faulty_strategy_is_caught(law: str, fault: type) -> None:
    broken(StrategyTests, law, fault(), *([-1.0] if "learning_rate" in law else []))


@dataclass(frozen=True)
class Rounded(Plain):
    def protect(self, update: Any, request: Any, local: Any) -> Payload:
        vectors = tuple(np.round(vector, 2) for vector in update.vectors)
        return update_to_payload(replace(update, vectors=vectors))


class Boundless(Plain):
    def largest_error(self, hospitals: int, expected: Any) -> float:
        return 1e9


class Approximate(Plain):
    def collect(self, *given: Any) -> Collected:
        found = super().collect(*given)
        assert found.total is not None
        first = next(iter(found.each.values()))
        return replace(found, total=replace(found.total, statistics=first.statistics))


class Miscounting(Plain):
    def collect(self, exchange: Any, requests: Any, contributing: Any, expected: Any) -> Collected:
        found = super().collect(exchange, requests, contributing, expected)
        return replace(found, sites=tuple(sorted(contributing)))


class Naive(Plain):
    """Whatever comes is added up as it is."""

    def collect(self, exchange: Any, requests: Any, contributing: Any, expected: Any) -> Collected:
        replies = exchange.ask("round", requests)
        sites = tuple(sorted(replies))
        arrays = [np.nan_to_num(np.resize(replies[site].array, expected.length)) for site in sites]
        total = sum(array.astype(np.float64) for array in arrays)
        return Collected(Update((total,), 1.0), sites, None, replies)


class InTheClear(Plain):
    """It says that it reveals sums, and sends every update as bytes."""

    reveals: ClassVar[Any] = "sum"
    readers: ClassVar[str] = "Nobody, it says; and everybody can."

    def protect(self, update: Any, request: Any, local: Any) -> Payload:
        return Payload(data=np.frombuffer(update.vectors[0].tobytes(), np.uint8))

    def collect(self, exchange: Any, requests: Any, contributing: Any, expected: Any) -> Collected:
        replies = exchange.ask("round", requests)
        return Collected(None, tuple(replies), None, replies)


class Opening(SecureAggregation):
    """A hospital's half that opens any sum, whatever noise counts on."""

    def answer(self, leg: str, request: Any, local: Any) -> Payload:
        return super().answer(leg, request, replace(local, cohort=replace(local.cohort, least=1)))

    def protect(self, update: Any, request: Any, local: Any) -> Payload:
        return super().protect(update, request, replace(local, cohort=replace(local.cohort, least=1)))


class Cutting(Plain):
    """Numbers of 64 bits have to do."""

    def protect_wide(self, numbers: Any, request: Any, local: Any) -> Payload:
        return super().protect_wide([number % (1 << 62) for number in numbers], request, local)


AGGREGATIONS = {
    FROZEN: (thawed(Plain),),
    "the_sum_is_the_true_one_within_the_declared_error": (Rounded,),
    "the_declared_error_is_small_beside_what_is_added_up": (Boundless,),
    "statistics_add_up_exactly": (Approximate,),
    "wide_whole_numbers_add_up_exactly": (Cutting,),
    "a_hospital_that_is_lost_is_not_in_the_sum_and_nothing_else_changes": (Miscounting,),
    "an_update_of_another_length_or_that_is_not_finite_is_not_in_the_sum": (Naive,),
    "a_hostile_reply_costs_its_sender_the_round_and_nobody_else": (Miscounting,),
    "one_that_reveals_sums_shows_no_single_update": (InTheClear,),
    "one_that_reveals_sums_says_who_can_read_whom_and_refuses_a_sum_of_two": (InTheClear,),
    "hospitals_open_no_sum_of_fewer_than_the_promised_noise_counts_on": (Opening,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(AGGREGATIONS))
def test_a_faulty_aggregation_is_caught(law: str, fault: type) -> None:
    more = [1] if "declared_error" in law and "true" in law else [HOSTILE[0]] if "hostile" in law else []
    broken(AggregationTests, law, fault(), *more)


@dataclass(frozen=True)
class Quiet:
    """An attack without fault, that finds nothing."""

    sees: ClassVar[Any] = "each"
    source: ClassVar[str] = "an idea of our own"

    def run(self, observed: Any, rng: np.random.Generator, budget_seconds: float) -> Finding:
        if not observed.singles:
            return Finding("quiet", observed.observer, False, "sees no single update")
        return Finding("quiet", observed.observer, True, figures={"updates": float(len(observed.singles))})


class Unsourced(Quiet):
    source: ClassVar[str] = ""


class Endless(Quiet):
    def run(self, *given: Any) -> Finding:
        until = process_time() + 0.6
        while process_time() < until:
            pass
        return super().run(*given)


class Infinite(Quiet):
    def run(self, observed: Any, rng: Any, budget_seconds: float) -> Finding:
        return Finding("infinite", observed.observer, True, figures={"psnr_db": float("inf")})


class Seeding(Quiet):
    def run(self, *given: Any) -> Finding:
        np.random.seed(0)
        return super().run(*given)


class OpensTheFolder(Quiet):
    def run(self, *given: Any) -> Finding:
        (observed("plain")[0] / "roster.json").read_text()
        return super().run(*given)


class AsksTheSource(Quiet):
    def run(self, seen: Any, *given: Any) -> Finding:
        source = SOURCES.build(Entry(seen.study.source.name, seen.study.source.options))
        source.cases(source.sites()[0], seen.study.seed)
        return super().run(seen, *given)


class Boasting(Quiet):
    def run(self, observed: Any, rng: Any, budget_seconds: float) -> Finding:
        return Finding("boasting", observed.observer, True)


class Guessing(Quiet):
    """What it claims is noise, wherever it looks."""

    def run(self, observed: Any, rng: np.random.Generator, budget_seconds: float) -> Finding:
        return self._claiming(observed, rng.normal(size=(2, *observed.shape.inputs)).astype(np.float32))

    def _claiming(self, observed: Any, inputs: Any) -> Finding:
        if not observed.singles:
            return Finding("guessing", observed.observer, False, "sees no single update")
        seen = observed.singles[0]
        claimed = Reconstruction(seen.round, (seen.site,), inputs)
        return Finding("guessing", observed.observer, True, reconstructions=(claimed,))


class CryingWolf(Guessing):
    """What it claims is a hospital's own case, which it takes from the hospital and not from what was sent."""

    def run(self, observed: Any, rng: np.random.Generator, budget_seconds: float) -> Finding:
        sites = observed.singles[:1]
        return self._claiming(observed, truth_of(observed.study, 1, [one.site for one in sites]).inputs[:2])


ATTACKS = {
    "it_finds_what_is_easy_to_find": (Guessing,),
    "in_what_is_random_it_finds_nothing": (CryingWolf,),
    FROZEN: (thawed(Quiet),),
    "it_says_what_it_must_see_and_where_it_is_from": (Unsourced,),
    "it_ends_within_its_seconds_with_a_finding_that_can_be_kept": (Endless, Infinite, Seeding),
    "it_reads_no_truth": (OpensTheFolder, AsksTheSource),
    "where_it_sees_too_little_it_says_so_in_words": (Boasting,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(ATTACKS))
def test_a_faulty_attack_is_caught(law: str, fault: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AttackTests, "patience_seconds", 0.0 if fault is Endless else 20.0)
    seen = observed("plain")[1]
    alone = law.startswith(("its_options", "it_says", "it_finds", "in_what"))
    broken(AttackTests, law, fault(), *([] if alone else [seen]))


def test_an_attack_without_fault_passes() -> None:
    seen = observed("plain")[1]
    claims = {"it_finds_what_is_easy_to_find", "in_what_is_random_it_finds_nothing"}
    for law in laws(AttackTests) - claims - {FROZEN, "it_says_what_it_must_see_and_where_it_is_from"}:
        getattr(AttackTests(), f"test_{law}")(Quiet(), seen)


class Deaf(Inline):
    def run(self, *, run_config: Any, **given: Any) -> None:
        super().run(run_config={**run_config, "rounds": 1}, **given)


class Swallowing(Inline):
    def run(self, **given: Any) -> None:
        try:
            super().run(**given)
        except Exception:  # noqa: BLE001 - the fault
            return


class Reseeding(Inline):
    """On another engine another model, as where draws are not from the study's seed."""

    def run(self, *, run_config: Any, **given: Any) -> None:
        text = str(run_config["study"]).replace("seed = 11", "seed = 12")
        super().run(run_config={**run_config, "study": text}, **given)


ENGINES = {
    FROZEN: (thawed(Inline),),
    "the_server_meets_one_node_a_hospital_and_its_settings": (Deaf,),
    "what_the_server_raises_comes_out": (Swallowing,),
    "the_model_is_the_same_bit_for_bit_and_no_process_is_left": (Reseeding,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(ENGINES))
def test_a_faulty_engine_is_caught(law: str, fault: type, tmp_path: Path) -> None:
    broken(EngineTests, law, fault(), *([] if law == FROZEN else [tmp_path]))


BENCHMARKS = {
    "it_returns_a_table_whose_rows_share_their_columns": (Measured("Uneven", [{"a": 1}, {"b": 2}], []),),
    "its_figures_are_finite_and_can_be_written_as_json": (Measured("Not finite", [{"a": float("nan")}], []),),
    "its_targets_say_what_was_aimed_at": (
        Measured("Aimless", [{"a": 1}], [Target("speed", None, 1.0, None, "faster", True)]),
    ),
}


@pytest.mark.parametrize(("law", "fault"), pairs(BENCHMARKS))
def test_a_faulty_benchmark_is_caught(law: str, fault: Measured) -> None:
    broken(BenchmarkTests, law, fault)


@pytest.mark.parametrize(
    ("tests", "faults"),
    [
        (PartitionTests, PARTITIONS),
        (StrategyTests, STRATEGIES),
        (AggregationTests, AGGREGATIONS),
        (AttackTests, ATTACKS),
        (EngineTests, ENGINES),
        (BenchmarkTests, BENCHMARKS),
    ],
)
def test_no_law_is_without_a_planted_fault(tests: type, faults: dict[str, Any]) -> None:
    assert laws(tests) == faults.keys()
