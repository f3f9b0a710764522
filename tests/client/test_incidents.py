from __future__ import annotations

import stat
from pathlib import Path

from client.incidents import report


def test_the_text_stays_in_a_log_only_its_owner_can_read(tmp_path: Path) -> None:
    number = report(ValueError("Jane Doe, born 1950"), tmp_path)
    log = tmp_path / "incidents.log"
    assert number in log.read_text()
    assert "Jane Doe" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_numbers_are_random_and_say_nothing(tmp_path: Path) -> None:
    numbers = {report(ValueError("same"), tmp_path) for _ in range(20)}
    assert len(numbers) == 20
    assert all(len(number) == 8 for number in numbers)
