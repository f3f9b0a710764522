"""The alarm in the report and its summary: not to be missed, and where all is well it says that it was looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape
from re import sub

from server.reporting.page import page_of
from server.reporting.parsing import about_of, round_of
from server.reporting.records import About, Evaluation, Holding, Roster, Round, Run, SplitScores
from server.reporting.summary import summary_of

SITES = ("Oslo", "Rome", "Turin")
WATCHED = ("spread", "answer_spread")


def run_of(spreads: list[float], final: float | None = None, watched: tuple[str, ...] = WATCHED) -> Run:
    """Whose features had these spreads before the first round and after each but the last."""
    rounds = []
    for k, spread in enumerate(spreads):
        scores = {
            "explained": 0.1 * k,
            "loss": 4.0 - k,
            "effective_rank": 3.0,
            "spread": spread,
            "answer_spread": 0.2,
        }
        sites = {site: {**scores, "spread": spread * (0.8 + 0.2 * n)} for n, site in enumerate(SITES)}
        seen = Evaluation(k, "validation", sites, scores)
        rounds.append(Round(k + 1, SITES, SITES, (), {}, {}, seen, {}, {}, 0, 0))
    holdings = tuple(Holding(site, {"validation": 40, "train": 100}, {"train": 100}, 0, {}) for site in SITES)
    last = {} if final is None else {"validation": SplitScores({}, {"spread": final, "answer_spread": 0.2})}
    about = About(title="Chest encoder", headline="explained", state="completed", watched=watched)
    return Run("r", replace(about, rounds_done=len(spreads)), Roster(holdings), tuple(rounds), last)


def words(run: Run) -> str:
    return " ".join(unescape(sub(r"<[^>]+>", " ", page_of(run).partition("<script>")[0])).split())


def test_a_collapse_stands_at_the_top_of_the_report_and_says_what_helps() -> None:
    run = run_of([0.06, 0.05, 0.004, 0.003, 0.002])
    page, text = page_of(run), words(run)
    assert 'role="alert"' in page and 'id="collapse-in-short"' in page and "banner bad" in page
    assert text.index("The network has collapsed.") < text.index("hospitals took part")
    assert "After round 4 the features of all hospitals' cases have drawn together" in text
    assert "3.3" in text and "0.06 before the first round" in text and "smaller learning rate" in text
    assert "that after round 2" in text and "Completed, with problems" in text


def test_a_run_that_is_well_says_that_it_was_looked_at() -> None:
    text = words(run_of([0.06, 0.05, 0.09]))
    assert "Looked at in 3 evaluations, the last after round 2: features lie 0.09 from their mean" in text
    assert "no collapse" in text and "has collapsed" not in text and "Spread of features, validation cases" in text


def test_nobody_takes_the_headline_for_what_features_are_worth_or_looks_for_labels() -> None:
    text = words(run_of([0.06, 0.05, 0.09], final=0.09))
    assert "what it was trained to do without labels" in text and "wardround probe" in text
    assert "Which patients does it answer worst" in text and "Where does it fail" not in text
    assert "no classes to count" not in text and "No label distribution" not in text


def test_the_last_model_is_looked_at_too() -> None:
    assert summary_of(run_of([0.06, 0.05], final=0.0))["collapse"]["collapsed"]


def test_what_passed_is_told_apart_from_what_stands() -> None:
    run = run_of([0.06, 0.004, 0.004, 0.07])
    assert "On the way, and no more at the end" in words(run) and "The network has collapsed." not in words(run)
    assert [one["kind"] for one in summary_of(run)["collapse"]["passed"]] == ["fallen"]


def test_a_run_without_evaluations_says_that_nobody_looked() -> None:
    run = replace(run_of([0.06]), rounds=(replace(run_of([0.06]).rounds[0], evaluation=None),))
    assert "Nobody looked whether the network still tells cases apart" in words(run)
    assert "Nobody looked" in summary_of(run)["collapse"]["words"]


def test_a_task_that_is_not_watched_has_no_word_of_it() -> None:
    run = run_of([0.06, 0.0], watched=())
    assert "tell cases apart" not in words(run) and summary_of(run)["collapse"] is None


def test_the_summary_is_json_and_names_the_finding() -> None:
    found = json.loads(json.dumps(summary_of(run_of([0.06, 0.004, 0.003])), allow_nan=False))
    assert found["collapse"]["collapsed"] and found["outcome"] == "completed with problems"
    assert found["collapse"]["findings"][0]["score"] == "spread" and found["collapse"]["last_well"] == 1


def test_what_a_run_wrote_is_read_as_words_alone() -> None:
    assert about_of({"watched": ["spread", {"a": 1}]}, 1).watched == ("spread",)
    assert about_of({"watched": {"a": 1}}, 1).watched == ()
    told = round_of({"round": 1, "collapse": {"in_short": "COLLAPSED: x"}})
    odd = round_of({"round": 1, "collapse": ["x"]})
    assert told is not None and told.collapse == "COLLAPSED: x" and odd is not None and odd.collapse == ""
