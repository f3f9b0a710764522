"""Ctrl-C."""

from __future__ import annotations

import os
import signal

import pytest

from experiments.engines._interrupt import remembered_interrupt


def test_an_interrupt_that_somebody_swallowed_is_raised_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with remembered_interrupt() as check:
        check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                check()
    assert signal.getsignal(signal.SIGINT) is before
