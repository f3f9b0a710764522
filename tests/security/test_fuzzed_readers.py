"""Some thousand hostile inputs, of every reader of what the other side sends; `bench fuzz` gives them a million."""

from __future__ import annotations

import pytest

from common.errors import WireError
from experiments.benchmarks._fuzz_decoders import DECODERS, PLANTED
from experiments.benchmarks._fuzz_worker import fuzzed, input_of
from experiments.benchmarks.fuzz import shares


@pytest.mark.parametrize("name", DECODERS)
def test_a_reader_takes_or_refuses_whatever_comes_and_raises_nothing_else(name: str) -> None:
    cases = DECODERS[name].cases()
    for number in range(40 + 2 * DECODERS[name].share):
        case, given = input_of(cases, name, 7, number)
        try:
            case.read(given)
        except WireError:
            continue


@pytest.mark.parametrize("name", [name for name in DECODERS if not name.startswith("bfv, distributed keys: replies")])
def test_what_the_inputs_are_made_of_is_taken(name: str) -> None:
    """Else nothing behind the first check would be tried."""
    for case in DECODERS[name].cases():
        assert case.read(case.samples[0])


def test_an_input_is_made_again_from_its_number_alone() -> None:
    cases = DECODERS["a message, its records"].cases()
    one, again = (input_of(cases, "a message, its records", 1, 5)[1] for _ in range(2))
    assert one == again


def test_a_million_inputs_are_a_million() -> None:
    assert abs(sum(shares(1_000_000).values()) - 1_000_000) < 100


def test_a_process_that_ends_is_counted_and_the_next_input_is_tried() -> None:
    """The planted reader ends its process, divides by zero, or takes, by the length of what comes."""
    kinds = []
    for number in range(12):
        _, given = input_of(PLANTED.cases(), PLANTED.name, 0, number)
        assert isinstance(given, bytes)
        kinds.append(len(given) % 3)
    outcome = fuzzed(PLANTED.name, 0, 12)
    assert (outcome.aborted, outcome.wrong, outcome.taken) == (kinds.count(0), kinds.count(1), kinds.count(2))
    assert outcome.aborted and outcome.wrong and outcome.fault
