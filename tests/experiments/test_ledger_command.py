"""`wardround privacy ledger`: figures by a formula of their own, refusals, hospitals of a run, and broken chains."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from io import StringIO
from math import exp
from pathlib import Path
from statistics import NormalDist

import pytest
from rich.console import Console

from client.ledger import Charge, Ledger
from common.errors import BudgetSpentError, StudyError
from common.privacy.release import Release, Unit
from experiments.hospital.ledger import show_ledgers
from experiments.hospital.ledger_summary import summary_of

Wardround = Callable[..., tuple[int, str]]
NOISE, DELTA = 2.0, 1e-5
FILE, KEY, HEAD = "privacy-ledger.sqlite", "privacy-ledger.key", "privacy-ledger.head"


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Balle and Wang 2018, theorem 8, by bisection."""
    phi, low, high = NormalDist().cdf, 0.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        half, shift = 1 / (2 * noise_multiplier), middle * noise_multiplier
        low, high = (middle, high) if phi(half - shift) - exp(middle) * phi(-half - shift) > delta else (low, middle)
    return high


def spend(
    folder: Path, study: str, number: int, patients: tuple[str, ...], title: str | None = None, unit: Unit = "patient"
) -> None:
    release = Release(NOISE, 1.0, 1)
    Ledger(folder).spend(Charge(study * 64, title or f"Study {study}", number, unit, DELTA, (release,), patients))


def limit(folder: Path, epsilon: float, delta: float) -> None:
    (folder / "privacy-limit.toml").write_text(f"epsilon = {epsilon}\ndelta = {delta}\n", encoding="utf-8")


def shown(folder: Path) -> tuple[bool, str]:
    screen = StringIO()
    whole = show_ledgers(folder, Console(file=screen, width=200), None)
    return whole, screen.getvalue()


def altered(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / FILE)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Three rounds of study a on Ada and Bob, the third run again on Ada alone; one of study b on Ada and Cy."""
    for number in (1, 2):
        spend(tmp_path, "a", number, ("Ada", "Bob"))
    spend(tmp_path, "a", 2, ("Ada",))
    spend(tmp_path, "b", 1, ("Ada", "Cy"))
    return tmp_path


def test_every_study_costs_what_the_formula_for_gaussians_says(filled: Path) -> None:
    found = summary_of(filled)
    assert [(one.study[0], one.rounds, one.charges, one.patients, one.delta) for one in found.studies] == [
        ("a", 2, 3, 2, DELTA),
        ("b", 1, 1, 2, DELTA),
    ]
    assert found.studies[0].epsilon == pytest.approx(gaussian_epsilon(NOISE / 3**0.5, DELTA), rel=2e-3)
    assert found.studies[1].epsilon == pytest.approx(gaussian_epsilon(NOISE, DELTA), rel=2e-3)


def test_the_most_spent_patient_is_the_one_of_both_studies(filled: Path) -> None:
    found = summary_of(filled)
    assert found.epsilon == pytest.approx(gaussian_epsilon(NOISE / 4**0.5, DELTA), rel=2e-3)
    assert (found.patients, found.most_spent, found.limit, found.left, found.fault) == (3, 1, None, None, None)


def test_a_limit_says_at_which_delta_and_what_is_left(filled: Path) -> None:
    limit(filled, 7.5, 1e-3)
    found = summary_of(filled)
    assert found.epsilon == pytest.approx(gaussian_epsilon(1.0, 1e-3), rel=2e-3)
    assert found.left == pytest.approx(7.5 - gaussian_epsilon(1.0, 1e-3), rel=5e-3)
    assert {one.delta for one in found.studies} == {1e-3}


def test_a_limit_that_was_lowered_since_is_told_as_passed(filled: Path) -> None:
    limit(filled, 1.0, DELTA)
    left = summary_of(filled).left
    assert left is not None and left < 0
    assert f"it is passed by {-left:.3f}" in shown(filled)[1]


def test_refusals_are_counted_and_cost_nothing(filled: Path) -> None:
    before = summary_of(filled).epsilon
    limit(filled, 0.1, DELTA)
    with pytest.raises(BudgetSpentError):
        spend(filled, "c", 1, ("Ada",))
    found = summary_of(filled)
    assert (found.studies[2].refusals, found.studies[2].rounds, found.studies[2].epsilon) == (1, 0, 0.0)
    assert found.epsilon == before


def test_a_study_charged_by_two_units_has_a_line_for_each(tmp_path: Path) -> None:
    spend(tmp_path, "a", 1, ("Ada",))
    spend(tmp_path, "a", 1, ("Ada",), unit="hospital")
    assert [one.unit for one in summary_of(tmp_path).studies] == ["patient", "hospital"]


def test_the_table_and_sentences_tell_the_figures(filled: Path) -> None:
    whole, text = shown(filled)
    found = summary_of(filled)
    assert whole and "Study a" in text and f"{found.studies[0].epsilon:.3f}" in text
    assert f"epsilon {found.epsilon:.3f} at delta 1e-05: 1 of the 3 patients charged." in text
    assert "sets no limit" in text and "The chain of 4 entries is whole." in text


def test_a_hostile_title_is_shown_as_text(tmp_path: Path) -> None:
    spend(tmp_path, "a", 1, ("Ada",), title="[red]x[/red] \x1b[2J\u202eevil\nline")
    text = shown(tmp_path)[1]
    assert "[red]x[/red] \ufffd[2J\ufffdevil line" in text
    assert "\x1b" not in text and "\u202e" not in text


def test_the_command_writes_the_figures_as_json(filled: Path, tmp_path: Path, wardround: Wardround) -> None:
    code, _ = wardround("privacy", "ledger", str(filled), "--json", str(tmp_path / "out" / "ledger.json"))
    written = json.loads((tmp_path / "out" / "ledger.json").read_text(encoding="utf-8"))
    assert code == 0
    assert written == {filled.name: json.loads(json.dumps(summary_of(filled).json()))}
    assert written[filled.name]["most_spent"] == 1 and written[filled.name]["fault"] is None


def test_every_hospital_of_a_run_is_shown_also_one_without_a_ledger(tmp_path: Path) -> None:
    for site in ("north", "south"):
        spend(tmp_path / "hospitals" / site, "a", 1, ("Ada",))
    (tmp_path / "hospitals" / "west").mkdir()
    whole, text = shown(tmp_path)
    assert whole and text.index("north") < text.index("south") < text.index("west: no ledger.")


def test_a_broken_chain_is_told_with_its_place_and_exits_with_1(filled: Path, wardround: Wardround) -> None:
    altered(filled, "UPDATE entries SET round = 9 WHERE number = 3")
    code, text = wardround("privacy", "ledger", str(filled))
    assert code == 1
    assert "The chain is broken: row 3 is not as it was written. Only the 2 entries before" in text
    assert [one.charges for one in summary_of(filled).studies] == [2]


@pytest.mark.parametrize("missing", [FILE, KEY, HEAD])
def test_a_ledger_that_lost_a_file_exits_with_1_after_the_others_are_shown(
    tmp_path: Path, wardround: Wardround, missing: str
) -> None:
    for site in ("north", "south"):
        spend(tmp_path / "hospitals" / site, "a", 1, ("Ada",))
    (tmp_path / "hospitals" / "north" / missing).unlink()
    code, text = wardround("privacy", "ledger", str(tmp_path))
    assert code == 1 and missing in text and "The chain of 1 entries is whole." in text


def test_a_folder_without_a_ledger_gets_a_clear_message(tmp_path: Path, wardround: Wardround) -> None:
    code, text = wardround("privacy", "ledger", str(tmp_path))
    assert code == 1 and "holds no privacy ledger" in text
    with pytest.raises(StudyError, match="there is no folder"):
        show_ledgers(tmp_path / "nowhere", Console(file=StringIO()), None)
