"""A program that hangs is a failure that says what it said, and leaves nothing behind."""

from __future__ import annotations

import psutil
import pytest

from tests.ended import ended


def test_what_hangs_is_ended_with_all_that_it_started_and_what_fails_says_why() -> None:
    mark = "3917.25"
    with pytest.raises(AssertionError, match=r"did not end in 0\.5 s"):
        ended(["sh", "-c", f"sleep {mark} & sleep {mark}"], longest_s=0.5)
    assert not [one.pid for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or [])]
    with pytest.raises(AssertionError, match="exit 3: 3\nwhy"):
        ended(["sh", "-c", "echo why >&2; exit 3"], check=True)
    assert ended(["cat"], said_to="said").stdout == "said"
