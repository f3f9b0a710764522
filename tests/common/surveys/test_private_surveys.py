"""Randomised answers: their chances, exact intervals and their cover, what is remembered, and epsilon audited."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from math import comb, exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.errors import FileError, StudyError
from common.surveys import intervals
from common.surveys.audit import least_epsilon, least_epsilon_heard
from common.surveys.forecast import forecast
from common.surveys.intervals import chances, share_of
from common.surveys.randomisers import KINDS, Randomiser, best_kind
from common.surveys.register import NAME, Register, load, question_digest, save
from common.surveys.responses import Responses, responses_of, together

YES_NO = ("yes", "no")
CELLS = [(n, epsilon) for n in (50, 73, 100, 200, 400) for epsilon in (0.5, 1.0, 2.0, 3.0)]


def seeded(*words: object):  # type: ignore[no-untyped-def]
    return np.random.default_rng([len(str(words)), *str(words).encode()]).bytes


def test_two_answers_are_heard_as_warner_has_it() -> None:
    one = Randomiser(YES_NO, log(3.0))
    assert one.if_true == pytest.approx(0.75) and one.if_false == pytest.approx(0.25)
    assert one._false * (Decimal(one.epsilon).exp() + 1) >= 2**64, "rounding must not make it less private"
    random_bytes = seeded("warner")
    heard = one.counts([one.randomise("yes", random_bytes) for _ in range(20_000)])
    assert stats.binomtest(heard[0], 20_000, 0.75).pvalue > 1e-3 and sum(heard) == 20_000


def test_every_other_of_five_answers_is_as_likely_and_the_true_one_e_to_the_epsilon_times() -> None:
    one = Randomiser(("a", "b", "c", "d", "e"), 1.0)
    random_bytes = seeded("five")
    heard = one.counts([one.randomise("c", random_bytes) for _ in range(20_000)])
    expected = np.full(5, one.if_false)
    expected[2] = one.if_true
    assert one.if_true / one.if_false == pytest.approx(exp(1.0)) and expected.sum() == pytest.approx(1)
    assert stats.chisquare(heard, expected * 20_000).pvalue > 1e-3


def test_bits_of_unary_encoding_are_independent_and_have_their_chances() -> None:
    one = Randomiser(("a", "b", "c"), 1.0, "oue")
    random_bytes = seeded("oue")
    heard = one.counts([one.randomise("b", random_bytes) for _ in range(20_000)])
    for count, chance in zip(heard, (one.if_false, 0.5, one.if_false), strict=True):
        assert stats.binomtest(count, 20_000, chance).pvalue > 1e-3
    assert one.if_false == pytest.approx(1 / (exp(1.0) + 1))
    assert best_kind(3, 1.0) == "one-of-k" and best_kind(50, 1.0) == "oue"


def test_chances_of_what_is_heard_are_those_of_two_binomials() -> None:
    found = chances(3, 7, 0.8, 0.3)
    for said in range(8):
        slow = sum(
            comb(3, of_true) * 0.8**of_true * 0.2 ** (3 - of_true)
            * comb(4, said - of_true) * 0.3 ** (said - of_true) * 0.7 ** (4 - said + of_true)
            for of_true in range(max(0, said - 4), min(3, said) + 1)
        )  # fmt: skip
        assert found[said] == pytest.approx(slow, abs=1e-14)
        above, at = intervals._above(said, 3, 7, 0.8, 0.3)
        assert at == pytest.approx(slow) and above == pytest.approx(found[said + 1 :].sum(), abs=1e-14)


def covers(n: int, epsilon: float) -> tuple[np.ndarray, float, float]:
    """Exact: the chance that the interval holds T, for every T; and mean widths of it and of Wilson's."""
    one = Randomiser(YES_NO, epsilon)
    p, q = one.if_true, one.if_false
    low, high = intervals._sterne(n, p, q, 0.95)
    true = np.arange(n + 1)
    laws = intervals._transformed(true, n, p, q)
    inside = (low[None] <= true[:, None]) & (true[:, None] <= high[None])
    said, z = true / n, 1.96
    centre = (said + z * z / 2 / n) / (1 + z * z / n)
    half = z * np.sqrt(said * (1 - said) / n + z * z / 4 / n**2) / (1 + z * z / n)
    wilson = np.clip((centre + half - q) / (p - q), 0, 1) - np.clip((centre - half - q) / (p - q), 0, 1)
    return (laws * inside).sum(axis=1), float((laws @ ((high - low) / n)).mean()), float((laws @ wilson).mean())


def test_exact_intervals_cover_95_percent_in_every_cell_and_97_at_most_on_average() -> None:
    means = []
    for n, epsilon in CELLS:
        cover, width, wilson = covers(n, epsilon)
        assert cover.min() >= 0.95, (n, epsilon)
        means.append(cover.mean())
        if epsilon == 3.0:
            assert width <= 0.6 * wilson, (n, epsilon)
    assert np.mean(means) <= 0.97 and max(means) <= 0.97


def test_beyond_where_all_is_tabled_intervals_go_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    tabled = share_of(380, 1000, 0.75, 0.25)
    monkeypatch.setattr(intervals, "MOST_BY_STERNE", 10)
    by_tails = share_of(380, 1000, 0.75, 0.25)
    assert by_tails.low == pytest.approx(tabled.low, abs=3e-3) and by_tails.high == pytest.approx(
        tabled.high, abs=3e-3
    )
    assert by_tails.low <= by_tails.mid_p_low <= tabled.estimate <= by_tails.mid_p_high <= by_tails.high
    assert tabled.estimate == pytest.approx((0.38 - 0.25) / 0.5)


@pytest.mark.parametrize(("said", "persons"), [(0, 1), (1, 1), (0, 20), (20, 20), (0, 5000), (5000, 5000)])
def test_intervals_stay_inside_0_and_1_whatever_was_heard(said: int, persons: int) -> None:
    found = share_of(said, persons, 0.7, 0.3)
    assert 0 <= found.low <= found.high <= 1 and 0 <= found.mid_p_low <= found.mid_p_high <= 1


def test_a_person_who_is_asked_again_says_the_same_and_pays_once(tmp_path: Path) -> None:
    one, random_bytes = Randomiser(YES_NO, 0.5), seeded("again")
    question, register = question_digest("smokes", one), Register({}, limit=1.0)
    said = [register.interview("anna", question, "yes", one, random_bytes, fresh=False) for _ in range(20)]
    assert len(set(said)) == 1 and register.persons["anna"].spent == 0.5
    register.interview("anna", question, "no", one, random_bytes, fresh=False)
    assert register.persons["anna"].spent == 1.0, "the truth has changed: another answer, and charged"
    assert register.interview("anna", "other", "yes", one, random_bytes, fresh=False) is None
    save(register, tmp_path)
    again = load(tmp_path, 1.0)
    assert again.persons == register.persons and again.most_spent == 1.0
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    fresh = Register({}, limit=1.0)
    drawn = [fresh.interview("bert", question, "yes", one, random_bytes, fresh=True) for _ in range(4)]
    assert drawn[2:] == [None, None] and fresh.persons["bert"].spent == 1.0


def test_a_damaged_register_is_not_begun_anew(tmp_path: Path) -> None:
    for damage in (
        '{"anna": {"spent": "much", "heard": {}}}',
        '{"anna": 1}',
        '{"anna": {"spent": -1, "heard": {}}}',
        "{",
    ):
        (tmp_path / NAME).write_text(damage)
        with pytest.raises(FileError):
            load(tmp_path, 1.0)


def test_the_claimed_epsilon_is_audited_and_answers_that_tell_more_are_found() -> None:
    for kind in KINDS:
        claimed = Randomiser(("a", "b", "c"), 1.0, kind)
        louder = Randomiser(("a", "b", "c"), 1.6, kind)
        truths = ["a", "b", "c"] * 2000
        random_bytes = seeded("audit", kind)
        kept = least_epsilon(claimed, truths, [claimed.randomise(one, random_bytes) for one in truths])
        assert 0.6 < kept <= 1.0
        assert least_epsilon(claimed, truths, [louder.randomise(one, random_bytes) for one in truths]) > 1.0
    yes_no = Randomiser(YES_NO, 1.0)
    assert least_epsilon_heard(yes_no, (900, 100), 1000) > 1.0 > least_epsilon_heard(yes_no, (600, 400), 1000)


def test_places_that_asked_alike_are_added_up_and_others_refused() -> None:
    one = Responses("smokes", Randomiser(YES_NO, 1.0), (30, 70), 100, 4)
    whole = together([responses_of(json.loads(json.dumps(one.json)), "a.json"), one])
    assert whole.counts == (60, 140) and whole.persons == 200 and whole.left_out == 8
    with pytest.raises(StudyError, match="asked differently"):
        together([one, Responses("smokes", Randomiser(YES_NO, 2.0), (30, 70), 100)])
    for wrong in (
        {"counts": [30, 71]},
        {"counts": [30]},
        {"epsilon": "x"},
        {"counts": [-1, 101]},
        {"kind": "x"},
        {"answers": 3},
    ):
        with pytest.raises(StudyError, match=r"a\.json"):
            responses_of({**one.json, **wrong}, "a.json")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(["question", "answers", "epsilon", "kind", "counts", "persons", "left_out"]), ANYTHING)
def test_whatever_another_place_wrote_is_read_or_refused_in_words(name: str, value: object) -> None:
    one = Responses("smokes", Randomiser(YES_NO, 1.0), (30, 70), 100, 4)
    with suppress(StudyError):
        assert isinstance(responses_of({**one.json, name: value}, "a.json"), Responses)


def test_asking_again_costs_epsilon_or_brings_nothing() -> None:
    found = forecast(Randomiser(YES_NO, 1.0), 500, 0.3, 4)
    assert [one.epsilon for one in found] == [1.0, 2.0, 3.0, 4.0]
    assert found[3].width == pytest.approx(found[0].width / 2, rel=0.06)
    assert found[3].divided > 1.5 * found[0].width


@pytest.mark.parametrize(
    ("answers", "epsilon"),
    [(("yes",), 1.0), (("a", "a"), 1.0), (("a", ""), 1.0), (YES_NO, 0.0), (YES_NO, float("inf"))],
)
def test_what_is_no_survey_is_refused(answers: tuple[str, ...], epsilon: float) -> None:
    with pytest.raises(StudyError):
        Randomiser(answers, epsilon)


def test_an_answer_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean 'yes'"):
        Randomiser(YES_NO, 1.0).randomise("yess", seeded("x"))


def test_a_file_of_too_many_answers_of_too_many_persons_ends_at_once() -> None:
    answers = tuple(map(str, range(1000)))
    wanted = Responses("What?", Randomiser(answers, 1.0, "one-of-k"), (10**5,) * 1000, 10**8)
    with pytest.raises(StudyError, match="fewer answers"):
        wanted.shares()
