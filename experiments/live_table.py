"""A run in the terminal while it happens: a live table, or one plain line a round where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from server.progress import (
    Event,
    HospitalDropped,
    HospitalReplied,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
)

SPARKS = "▁▂▃▄▅▆▇█"
MOST_HOSPITALS_SHOWN = 12
BYTES_STEP = 1000.0


@dataclass
class Row:
    """What is shown of one hospital."""

    state: str = "ready"
    seconds: float | None = None
    bytes: int = 0
    loss: float | None = None
    score: float | None = None


@dataclass
class LiveTable:
    """Subscribes to a run's events. Use as a context: the terminal is left as it was, also after Ctrl-C."""

    console: Console
    started: RunStarted | None = None
    round: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    begin: float = field(default_factory=monotonic)
    _live: Live | None = None

    def __enter__(self) -> LiveTable:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self.render)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        """Take note of one event."""
        match event:
            case RunStarted():
                self.started, self.round = event, event.rounds_done
                self.rows = {site: Row() for site in event.sites}
            case RoundStarted():
                self.round = event.round
                for site, row in self.rows.items():
                    row.state = "training" if site in event.selected else "not selected"
            case HospitalReplied():
                row = self.rows[event.site]
                row.state, row.seconds, row.bytes = "done", event.seconds, row.bytes + event.bytes
            case HospitalDropped():
                self.rows[event.site].state = f"dropped: {event.reason}"
            case RoundFinished():
                self._finish_round(event.record)
            case RunFinished():
                self._say_end(event)

    def render(self) -> Group:
        """The table and the line above it."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("hospital", "state"):
            table.add_column(name)
        for name in ("loss", self._headline(), "sent", "seconds"):
            table.add_column(name, justify="right")
        for site, row in list(self.rows.items())[:MOST_HOSPITALS_SHOWN]:
            figures = (_number(row.loss), _number(row.score), spell_bytes(row.bytes), _number(row.seconds, 1))
            table.add_row(site, _state(row.state), *figures)
        hidden = len(self.rows) - MOST_HOSPITALS_SHOWN
        more = Text(f"and {hidden} hospitals more", style="dim") if hidden > 0 else Text("")
        return Group(self._line(), table, more)

    def _headline(self) -> str:
        return self.started.headline if self.started else "score"

    def _line(self) -> Text:
        if self.started is None:
            return Text("Waiting for the hospitals to come up ...", style="dim")
        line = Text(f"{self.started.title}  ", style="bold")
        line.append(f"round {self.round} of {self.started.rounds}  ", style="cyan")
        line.append(sparkline(self.scores[-40:]), style="green")
        if self.scores:
            line.append(f" {self._headline()} {self.scores[-1]:.3f}", style="green")
        line.append(f"  {self._time()}", style="dim")
        return line

    def _time(self) -> str:
        """Time passed, and time to go if all rounds take as long as those so far."""
        passed = monotonic() - self.begin
        assert self.started is not None
        done = self.round - 1 - self.started.rounds_done
        if done < 1:
            return spell_seconds(passed)
        left = passed / done * (self.started.rounds - self.round + 1)
        return f"{spell_seconds(passed)}, about {spell_seconds(left)} to go"

    def _finish_round(self, record: Mapping[str, Any]) -> None:
        for site, values in record["training"].items():
            self.rows[site].loss = values.get("loss")
        evaluation = record["evaluation"]
        if evaluation is not None:
            for site, values in evaluation["sites"].items():
                self.rows[site].score = values.get(self._headline())
            pooled = evaluation["pooled"].get(self._headline())
            if pooled is not None:
                self.scores.append(pooled)
        if self._live is None:
            self.console.print(self._plain(record), highlight=False, markup=False)

    def _plain(self, record: Mapping[str, Any]) -> str:
        score = f"{self._headline()} {self.scores[-1]:.4f}" if self.scores else ""
        dropped = "".join(f"; dropped {d['site']}: {d['reason']}" for d in record["dropped"])
        rounds = self.started.rounds if self.started else "?"
        size = spell_bytes(record["bytes"]["received"])
        seconds = record["seconds"]["total"]
        count = len(record["contributed"])
        return f"round {record['round']}/{rounds}  {count} hospitals  {score}  {size}  {seconds:.1f} s{dropped}"

    def _say_end(self, event: RunFinished) -> None:
        reason = f": {event.reason}" if event.reason else ""
        passed = spell_seconds(monotonic() - self.begin)
        self.console.print(f"The run {event.state} after {passed}{reason}", highlight=False, markup=False)


def sparkline(values: list[float]) -> str:
    """Values as a row of bars from the lowest to the highest."""
    if not values:
        return ""
    low, width = min(values), max(max(values) - min(values), 1e-12)
    return "".join(SPARKS[round((value - low) / width * (len(SPARKS) - 1))] for value in values)


def spell_bytes(count: int) -> str:
    """Such as 1.2 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < BYTES_STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= BYTES_STEP
    return f"{size:.1f} GB"


def spell_seconds(seconds: float) -> str:
    """Such as 42 s or 3 min 05 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _state(state: str) -> Text:
    looks = {"training": "yellow", "done": "green", "ready": "dim", "not selected": "dim"}
    return Text(state, style=looks.get(state, "red"))
