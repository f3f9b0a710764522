"""A run in the terminal: a table that lives, or one plain line a round where there is no terminal to draw on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from experiments.running.spoken_losses import Said, lines_at_once
from experiments.running.view import RunView, SiteState, SiteView
from experiments.running.words import STATE_WORDS, census, finish_line, one_line, plain_line, sparkline, times
from experiments.terminal_letters import writable
from server.progress import Event
from server.reporting.wording import NOTHING, capital, duration, score, score_name, size

MOST_ROWS = 24
LINES_AROUND_ROWS = 9
BAR_WIDTH = 28
SIGNS: Mapping[SiteState, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "training": ("", "cyan"),
    "replied": ("✓", "green"),
    "dropped": ("✕", "red"),
    "idle": ("·", "dim"),
}
PHASES = {"starting": "starting the hospitals", "evaluating": "evaluating the final model"}
FINISH_STYLES = {"completed": "green", "stopped": "yellow", "failed": "red"}


class LiveTable:
    """Shows what it is told: `with LiveTable(console) as table: progress.subscribe(table)`.

    folder: of the run, where simulated hospitals write down what is said at once. Leaving the context, by Ctrl-C too,
    gives the terminal back with the last state standing in it.
    """

    def __init__(self, console: Console, folder: Path | None = None) -> None:
        self.console, self.folder = console, folder
        self.has_heard = False
        self.view, self._said = RunView(), Said()
        self._lock = RLock()
        self._spinner = Spinner("dots", style="cyan")
        alive = console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=8) if alive else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in one event and show it."""
        with self._lock:
            self.has_heard = True
            self.view.hear(event)
            for line in lines_at_once(event, self.folder, self._said):
                self._say(line)
            if self._live is None:
                self._say(plain_line(self.view, event))

    def render(self) -> RenderableType:
        """The present state."""
        with self._lock:
            if self.view.phase == "starting":
                return self._moving(PHASES["starting"])
            return Group(*self._head(), Text(), self._sites())

    def _say(self, line: str) -> None:
        """A line; above the table, where there is one, folded rather than cut."""
        if line:
            self.console.print(Text(writable(line, self.console.encoding)), soft_wrap=self._live is None)

    def _moving(self, words: str) -> RenderableType:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, f"{words}, {duration(self.view.elapsed_s)}")
        return line

    def _head(self) -> list[RenderableType]:
        title = Text(one_line(self.view.title), style="bold")
        said = [*self._collapse(), *self._taken_back()]
        return [title, self._rounds_line(), self._figures_line(), *said, *self._phase_line()]

    def _collapse(self) -> list[RenderableType]:
        """What the last evaluation says of collapse, for as long as it does."""
        words = self.view.collapse
        return [Text(one_line(words), style="bold red")] if words else []

    def _taken_back(self) -> list[RenderableType]:
        """What the last round told against one before it."""
        words = "" if self.view.last is None else self.view.last.taken_back
        return [Text(one_line(words), style="yellow")] if words else []

    def _rounds_line(self) -> RenderableType:
        line, view = Table.grid(padding=(0, 1)), self.view
        bar = ProgressBar(total=max(view.rounds, 1), completed=view.rounds_done, width=BAR_WIDTH)
        line.add_row(f"round {view.round} of {view.rounds}", bar, Text(times(view), style="dim"))
        return line

    def _figures_line(self) -> RenderableType:
        view = self.view
        line = Text(f"{capital(score_name(view.headline))} {score(view.score)} ", no_wrap=True, overflow="ellipsis")
        line.append(sparkline(tuple(view.scores)), style="cyan")
        line.append(f"  loss {score(view.loss)}")
        return line.append(f"  {size(view.sent)} to hospitals, {size(view.received)} back", style="dim")

    def _phase_line(self) -> list[RenderableType]:
        if self.view.finish is not None:
            style = "bold red" if self.view.finish.collapse else FINISH_STYLES.get(self.view.finish.state, "")
            return [Text(finish_line(self.view.finish), style=style)]
        return [self._moving(PHASES[self.view.phase])] if self.view.phase in PHASES else []

    def _sites(self) -> RenderableType:
        """A row each; where they are too many for the screen, counts, and rows for those that were dropped."""
        most = max(4, min(MOST_ROWS, self.console.height - LINES_AROUND_ROWS))
        if len(self.view.sites) <= most:
            return self._table(self.view.sites)
        lost = [(name, site) for name, site in self.view.sites.items() if site.state == "dropped"]
        table = [self._table(dict(lost[: most - 2]))] if lost else []
        return Group(Text(census(self.view)), *table)

    def _table(self, sites: Mapping[str, SiteView]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("hospital", no_wrap=True, overflow="ellipsis", max_width=24)
        table.add_column("this round", no_wrap=True, overflow="ellipsis", max_width=36, min_width=14)
        for word in ("loss", score_name(self.view.headline), "seconds", "sent"):
            table.add_column(word, justify="right", no_wrap=True)
        for name, site in sites.items():
            sent = NOTHING if site.bytes is None else size(site.bytes)
            numbers = (score(site.loss), score(site.score), duration(site.seconds), sent)
            table.add_row(Text(one_line(name)), self._state(site), *numbers)
        return table

    def _state(self, site: SiteView) -> RenderableType:
        (sign, style), word = SIGNS[site.state], STATE_WORDS[site.state]
        if site.state == "training":
            moving = Table.grid(padding=(0, 1, 0, 0))
            moving.add_row(self._spinner, Text(word, style=style))
            return moving
        words = one_line(site.reason) if site.state == "dropped" and site.reason else word
        return Text(f"{sign} {words}", style=style)
