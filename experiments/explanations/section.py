"""The role of a section of the page. A file of `experiments/explanations/sections/` ends by binding `make`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from experiments.explanations.clock import Clock
from experiments.explanations.subject import Subject
from server.reporting.markup import Markup


class Section(Protocol):
    """What was found, ready to be written down twice. A frozen dataclass."""

    @property
    def word(self) -> str:
        """In the page's contents; the section's id is the file's name."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """For explain.json, under the file's name: numbers and words that JSON holds; no picture."""
        ...

    def finding(self) -> str:
        """A sentence for the head of the page; "" where what was found needs none."""
        ...

    def markup(self) -> Markup:
        """Of `server.reporting.sections.layout.section`, its key being the file's name. Escaped by construction."""
        ...


@dataclass(frozen=True)
class Asked:
    """methods: names or files of attributions; () for all of ours. cases: how many are shown. seed: of all draws.

    answers: folder of the answer to `attribution_maps` that real hospitals gave; None: simulated ones are asked.

    inputs: files of somebody's own cases that are shown; () for cases of the run.
    """

    methods: tuple[str, ...] = ()
    cases: int = 8
    seed: int = 0
    answers: Path | None = None
    inputs: tuple[Path, ...] = ()


Make = Callable[[Subject, Asked, Clock], Section | None]
"""None: the page has no such section of this run. Raises WardroundError in words, which then stand in its place."""
