"""Examples of protocols: the right sum, and nobody sees more than the protocol lets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scipy import stats
from typer.testing import CliRunner

from common.errors import StudyError
from experiments.cli import cli
from experiments.lessons.encrypted_sum import encrypted_sum
from experiments.lessons.generalised_record import Record, generalised
from experiments.lessons.party import Party
from experiments.lessons.secret_sharing import MODULUS, shared_sum, shares_of


def values(party: Party) -> list[str]:
    return [value for _, value in party.saw]


def test_the_average_exam_score_comes_out_and_no_student_sees_anothers() -> None:
    scores = {"Ann": 71, "Bob": 84, "Cem": 92}
    total, parties = shared_sum(scores)
    assert total == 247
    for party in parties:
        others = [str(score) for name, score in scores.items() if name != party.name]
        assert str(scores[party.name]) in values(party) and not set(others) & set(values(party))
        assert "247" in values(party)


def test_by_hand_with_shares_that_are_known() -> None:
    drawn: Iterator[int] = iter([10, MODULUS - 3])
    total, (alice, bob) = shared_sum({"Alice": 5, "Bob": 7}, lambda _: next(drawn))
    assert total == 12
    assert values(alice) == ["5", "10", str(MODULUS - 3), "7", "5", "12"]
    assert values(bob) == [str(MODULUS - 5), "7", "10", "5", "7", "12"]


def test_a_share_is_evenly_spread_whatever_the_number_is() -> None:
    for number in (0, 90):
        last = [shares_of(number, 3)[2] / MODULUS for _ in range(3000)]
        assert stats.kstest(last, "uniform").pvalue > 1e-6


def test_the_encrypted_sum_is_the_same_and_the_server_sees_nothing_but_ciphertexts() -> None:
    total, parties = encrypted_sum({"Ann": 71, "Bob": 84, "Cem": 92})
    *_, server, teacher = parties
    assert total == 247 and values(teacher)[-1] == "247"
    assert all("bytes, SHA-256" in value for value in values(server))
    assert not {"71", "84", "92"} & set(values(teacher))


def test_a_record_becomes_male_1950_to_1960() -> None:
    width, (hospital, reader) = generalised(3)
    assert width == 10 and "becomes [Male, 1950-1960]" in values(hospital)
    assert all("one of 3 who look alike" in value for value in values(reader))
    same = tuple(Record(f"P{at}", "Male", 1950 + at, "asthma") for at in range(3))
    assert "can still tell" in values(generalised(3, same)[1][1])[-1]


@pytest.mark.parametrize("numbers", [{"Ann": 1}, {"Ann": -1, "Bob": 1}, {"Ann": MODULUS, "Bob": 1}])
def test_sums_that_cannot_be_are_refused(numbers: dict[str, int]) -> None:
    for protocol in (shared_sum, encrypted_sum):
        with pytest.raises(StudyError):
            protocol(numbers)
    with pytest.raises(StudyError, match="no width of years"):
        generalised(4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exam-score"], "The average is 247 / 3 = 82.33."),
        (["exam-score", "--scores", "1,2", "--encrypted"], "The average is 3 / 2 = 1.5."),
        (["sum", "--x", "30", "--y", "4"], "x + y = 34."),
        (["record"], "at least 3 records look alike"),
    ],
)
def test_each_example_says_what_every_party_saw(words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["example", *words])
    assert done.exit_code == 0 and said in " ".join(done.output.split()) and " saw" in done.output
    assert CliRunner().invoke(cli, ["example", "exam-score", "--scores", "1,b"]).exit_code == 1
