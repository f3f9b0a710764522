"""Ctrl-C."""

from __future__ import annotations

import signal
from threading import Thread
from typing import Any, cast

import grpc
import pytest

from experiments.engines._interrupt import held_back, interrupting_signals, remembered_interrupt
from experiments.engines.processes import _Hospital, _Visits


def test_an_interrupt_that_somebody_swallowed_is_raised_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with remembered_interrupt() as signals:
        signals.check()
        with pytest.raises(KeyboardInterrupt):
            # To this thread: os.kill may hand it to another one, and Python would raise here a moment too late.
            signal.raise_signal(signal.SIGINT)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signals.check()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_librarys_part_is_over_before_an_interrupt_is_raised(number: signal.Signals) -> None:
    """gRPC waits for ever for a call that was announced and not begun."""
    done: list[str] = []

    def library() -> None:
        with held_back():
            with held_back():
                signal.raise_signal(number)
                done.append("inner")
            done.append("outer")

    with interrupting_signals(), remembered_interrupt(), pytest.raises(KeyboardInterrupt):
        library()
    assert done == ["inner", "outer"]
    with interrupting_signals(), held_back():
        done.append("nothing is left over")


def test_a_channel_closes_though_the_interrupt_came_while_a_call_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes at the worst place: the call is announced, and no thread waits for its end yet."""
    channel = grpc.insecure_channel("127.0.0.1:1")
    hospital = _Hospital(cast("Any", None), cast("Any", None), "a token", channel, channel.unary_unary("/a/method"))
    begin_thread = grpc._channel._run_channel_spin_thread

    def interrupted(state: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        begin_thread(state)

    monkeypatch.setattr(grpc._channel, "_run_channel_spin_thread", interrupted)
    visits = _Visits({2: hospital}, at_once=1)
    with interrupting_signals(), pytest.raises(KeyboardInterrupt):
        visits.send(2, [b"a request"])
    closing = Thread(target=channel.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
