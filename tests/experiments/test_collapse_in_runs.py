"""A collapse while a study runs: in its records, in the terminal, on the live page, and as the end of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from experiments.engines._quiet import run_quietly
from experiments.pages.moment import Followed
from experiments.pages.run_page import run_page
from experiments.running.live_table import LiveTable
from experiments.running.view import RunView
from experiments.running.words import finish_line, plain_line
from server.progress import RoundFinished, RunFinished, RunStarted
from server.report import write_report

OWN = Path(__file__).with_name("own_tasks.py")
SAID = "COLLAPSED: After round 2 the features of all hospitals' cases have drawn together."


@pytest.fixture
def fading(tiny: Callable[..., Study]) -> Iterator[Callable[..., Study]]:
    with trusting(ANYTHING):
        yield lambda *overrides: tiny(f'task={{name="{OWN}:Fading"}}', "training.learning_rate=0.08", *overrides)


def test_a_strangers_task_that_says_what_to_watch_is_watched(fading: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(fading("rounds=10"), tmp_path)
    collapses = [record["collapse"]["collapsed"] for record in outcome.rounds]
    assert not collapses[0] and collapses[-1] and len(outcome.rounds) == 10
    assert outcome.about["collapse"]["collapsed"] and outcome.about["watched"] == ["spread"]
    assert "The network has collapsed." in write_report(tmp_path).read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["collapse"]["collapsed"]
    page = run_page(Followed(tmp_path).moment())
    assert "The network has collapsed." in page and "collapsed: 10/10" in page


def test_a_study_may_end_where_it_collapses_and_a_resumed_run_stays_ended(
    fading: Callable[..., Study], tmp_path: Path
) -> None:
    outcome = run_quietly(fading("rounds=40", "federation.stop_on_collapse=true"), tmp_path)
    done = len(outcome.rounds)
    assert 2 <= done < 10 and "since it collapsed" in outcome.about["ended_early"]
    again = run_quietly(fading("rounds=40", "federation.stop_on_collapse=true"), tmp_path, resume=True)
    assert len(again.rounds) == done and again.about["ended_early"] == outcome.about["ended_early"]


def test_a_resumed_run_says_what_one_says_that_never_stopped(fading: Callable[..., Study], tmp_path: Path) -> None:
    whole = run_quietly(fading("rounds=4"), tmp_path / "whole")
    run_quietly(fading("rounds=2"), tmp_path / "parts")
    resumed = run_quietly(fading("rounds=4"), tmp_path / "parts", resume=True)
    assert [one["collapse"] for one in resumed.rounds] == [one["collapse"] for one in whole.rounds]


def test_a_supervised_run_has_no_word_of_it(tiny: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(tiny("rounds=1"), tmp_path)
    assert "collapse" not in outcome.rounds[0] and "collapse" not in outcome.about


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["federation.evaluate_every=0"], "set federation.evaluate_every to 1 or more"),
        (['privacy={name="hospital", noise_multiplier=1.0, clip_norm=1.0}'], "remove \\[privacy\\]"),
    ],
)
def test_a_study_that_cannot_end_there_is_refused(
    fading: Callable[..., Study], settings: list[str], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        fading("federation.stop_on_collapse=true", *settings)


def test_a_task_that_says_nothing_to_watch_is_refused(tiny: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="'classification' says none"):
        tiny("federation.stop_on_collapse=true")


def test_the_terminal_says_it_for_as_long_as_it_stands() -> None:
    view, console = RunView(), Console(file=io.StringIO(), width=200)
    record = {"round": 3, "evaluation": {"of_round": 2, "split": "validation", "sites": {}, "pooled": {}}}
    events = (
        RunStarted("Chest", 5, ("Oslo",), "explained"),
        RoundFinished({**record, "collapse": {"in_short": SAID}}),
    )
    with LiveTable(console) as table:
        for event in events:
            view.hear(event)
            table(event)
        assert SAID in plain_line(view, events[-1])
        console.print(table.render())
    assert console.file.getvalue().count(SAID) == 2  # type: ignore[attr-defined]
    view.hear(RoundFinished({**record, "round": 4, "evaluation": None}))
    assert view.collapse == SAID
    view.hear(RoundFinished({**record, "round": 5, "collapse": {"in_short": ""}}))
    assert view.collapse == ""


def test_the_last_line_of_a_collapsed_run_says_it() -> None:
    assert SAID in finish_line(RunFinished("completed", "", Path("runs/x"), "", SAID))
