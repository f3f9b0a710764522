"""What a person sees in the terminal while a study runs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments.running.live_table import LiveTable
from experiments.running.view import RunView
from experiments.running.words import census, one_line, sparkline, times
from server.progress import (
    Event,
    HospitalDropped,
    HospitalReplied,
    Progress,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
)

FOLDER = Path("runs/demo/now")
STARTED = RunStarted("Brain tissue", 3, ("Oslo", "Rome"), "dice")


def record(number: int, dice: float | None = 0.5, dropped: Sequence[str] = ()) -> dict[str, Any]:
    """A line of rounds.jsonl of two hospitals, of which Oslo has three times the cases."""
    contributed = [site for site in ("Oslo", "Rome") if site not in dropped]
    losses = {"Oslo": {"loss": 1.0}, "Rome": {"loss": 2.0}}
    return {
        "round": number,
        "selected": ["Oslo", "Rome"],
        "contributed": contributed,
        "dropped": [{"site": site, "leg": "round", "reason": "late"} for site in dropped],
        "weights": {"Oslo": 30, "Rome": 10},
        "training": {site: losses[site] for site in contributed},
        "evaluation": {
            "of_round": number - 1,
            "split": "validation",
            "sites": {"Oslo": {"dice": dice}, "Rome": {"dice": 0.25}},
            "pooled": {"dice": dice},
        },
        "seconds": {"total": 2.0},
        "site_seconds": {},
        "bytes": {"sent": 4000, "received": 2000},
    }


def view_after(*events: Event, clock_s: float = 0.0) -> RunView:
    view = RunView(clock=lambda: clock_s)
    for event in events:
        view.hear(event)
    return view


def screen_after(*events: Event, width: int = 100, height: int = 30) -> str:
    """The last frame that a terminal would show."""
    console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
    table = LiveTable(console)
    for event in events:
        table(event)
    console.print(table.render())
    return console.export_text()


def log_after(*events: Event) -> list[str]:
    """All lines that a file would get."""
    file = io.StringIO()
    with LiveTable(Console(file=file, width=40)) as table:
        for event in events:
            table(event)
    return file.getvalue().splitlines()


def test_before_the_first_event_hospitals_are_starting() -> None:
    assert "starting the hospitals" in screen_after()


def test_a_round_in_progress_shows_every_hospitals_state() -> None:
    screen = screen_after(
        STARTED,
        RoundStarted(1, ("Oslo", "Rome")),
        HospitalReplied(1, "Oslo", 6.25, 473_620),
        HospitalDropped(1, "Rome", "no reply within 60 s."),
    )
    oslo, rome = (next(line for line in screen.splitlines() if line.startswith(name)) for name in ("Oslo", "Rome"))
    assert "✓ replied" in oslo and "6.2" in oslo and "474" in oslo
    assert "✕ no reply within 60 s." in rome
    assert "round 1 of 3" in screen


def test_a_finished_round_shows_the_weighted_loss_the_score_and_the_bytes() -> None:
    events: list[Event] = [STARTED, RoundStarted(1, ("Oslo", "Rome")), RoundFinished(record(1, 0.5))]
    events += [RoundStarted(2, ("Oslo", "Rome")), RoundFinished(record(2, 0.625))]
    screen = screen_after(*events)
    assert "Dice 0.625 ▁█" in screen and "loss 1.250" in screen
    assert "8.0\u00a0kB to hospitals, 4.0\u00a0kB back" in screen


def test_no_line_is_wider_than_the_terminal() -> None:
    long = "Hospital of " + 30 * "x"
    events: list[Event] = [RunStarted(90 * "t", 3, (long, "Rome"), "dice"), RoundStarted(1, (long,))]
    events.append(HospitalDropped(1, long, "because " * 40))
    assert max(map(len, screen_after(*events, width=80).splitlines())) <= 80


def test_many_hospitals_become_counts_and_only_the_dropped_have_a_row() -> None:
    sites = tuple(f"site-{k:03d}" for k in range(100))
    events: list[Event] = [RunStarted("MNIST", 3, sites, "accuracy"), RoundStarted(1, sites[:10])]
    events += [HospitalReplied(1, sites[0], 1.0, 10), HospitalDropped(1, sites[1], "late")]
    screen = screen_after(*events, height=24)
    assert "100 hospitals: 1 replied, 8 training, 1 dropped, 90 not selected" in screen
    assert "site-001" in screen and "site-000" not in screen
    assert len(screen.splitlines()) <= 24


def test_text_from_outside_is_neither_markup_nor_a_command_to_the_terminal() -> None:
    hostile = "[red]Oslo[/]\x1b[2J\n\u202eRome"
    screen = screen_after(RunStarted("t", 3, (hostile,), "dice"), RoundStarted(1, (hostile,)))
    assert "[red]Oslo[/]\ufffd[2J \ufffdRome" in screen
    (_, line) = log_after(STARTED, HospitalDropped(1, hostile, "[bold]late"))
    assert line == "round 1: [red]Oslo[/]\ufffd[2J \ufffdRome dropped: [bold]late"


def test_without_a_terminal_there_is_one_plain_line_a_round() -> None:
    lines = log_after(
        STARTED,
        RoundStarted(1, ("Oslo", "Rome")),
        HospitalReplied(1, "Oslo", 1.0, 10),
        HospitalDropped(1, "Rome", "late"),
        RoundFinished(record(1, 0.5, dropped=["Rome"])),
        RunFinished("stopped", "1 of 2 hospitals replied", FOLDER),
    )
    assert lines == [
        "Brain tissue: 2 hospitals, 3 rounds",
        "round 1: Rome dropped: late",
        "round 1 of 3  loss 1.000  Dice 0.500 (after round 0)  1 of 2 hospitals  6.0\u00a0kB  2.0\u00a0s",
        "stopped (in runs/demo/now)",
    ]


def test_an_undefined_score_is_a_dash_and_adds_nothing_to_the_curve() -> None:
    view = view_after(STARTED, RoundFinished(record(1, None)), RoundFinished(record(2, 0.5)))
    assert list(view.scores) == [0.5]
    assert "Dice \u2013" in log_after(STARTED, RoundFinished(record(1, None)))[-1]


def test_time_to_come_is_the_other_rounds_at_the_pace_of_the_last() -> None:
    assert view_after(STARTED).remaining_s is None
    view = view_after(STARTED, RoundFinished(record(1)))
    assert view.remaining_s == 4.0
    assert times(view) == "0\u00a0ms gone, about 4.0\u00a0s left"


def test_a_resumed_run_starts_at_the_round_it_reached() -> None:
    view = view_after(RunStarted("t", 9, ("Oslo",), "dice", rounds_done=5))
    assert (view.rounds_done, view.round) == (5, 5)


def test_a_hospital_that_was_not_selected_may_reply_with_scores_alone() -> None:
    view = view_after(STARTED, RoundStarted(1, ("Oslo",)), HospitalReplied(1, "Rome", 1.0, 10))
    assert view.sites["Rome"].state == "idle" and view.count("training") == 1


def test_a_reply_that_fails_a_check_later_counts_as_dropped() -> None:
    events = (RoundStarted(1, ("Oslo",)), HospitalReplied(1, "Oslo", 1.0, 10), HospitalDropped(1, "Oslo", "NaN"))
    assert view_after(STARTED, *events).sites["Oslo"].state == "dropped"


def test_after_the_last_round_the_final_model_is_evaluated_and_the_end_is_said() -> None:
    rounds = [RoundFinished(record(number)) for number in (1, 2, 3)]
    assert "evaluating the final model" in screen_after(STARTED, *rounds)
    end = screen_after(STARTED, *rounds, RunFinished("completed", "", FOLDER))
    assert "all rounds are done" in end and "evaluating" not in end


def test_an_interrupt_gives_the_terminal_back() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True)
    progress = Progress()

    def interrupted() -> None:
        with LiveTable(console) as table:
            progress.subscribe(table)
            progress.publish(STARTED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.getvalue().rfind("\x1b[?25h") > file.getvalue().rfind("\x1b[?25l") >= 0
    progress.publish(RoundStarted(1, ("Oslo",)))


def test_a_terminal_that_cannot_draw_gets_plain_lines() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with LiveTable(Console(file=file, width=80, force_terminal=True)) as table:
        table(RunStarted("t", 3, ("Oslo",), "dice"))
    file.seek(0)
    assert file.read() == "t: 1 hospital, 3 rounds\n"


def test_a_sparkline_goes_from_the_lowest_block_to_the_highest() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([0.7]) == "▅" and sparkline([]) == ""


def test_a_census_leaves_out_states_that_nobody_is_in() -> None:
    assert census(view_after(STARTED)) == "2 hospitals: 2 waiting"


def test_outside_text_is_cut() -> None:
    assert one_line("a\n b") == "a b" and len(one_line("x" * 1000)) == 400
