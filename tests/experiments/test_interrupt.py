"""Ctrl-C."""

from __future__ import annotations

import signal

import pytest

from experiments.engines._interrupt import remembered_interrupt


def test_an_interrupt_that_somebody_swallowed_is_raised_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with remembered_interrupt() as check:
        check()
        with pytest.raises(KeyboardInterrupt):
            # To this thread: os.kill may hand it to another one, and Python would raise here a moment too late.
            signal.raise_signal(signal.SIGINT)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                check()
    assert signal.getsignal(signal.SIGINT) is before
