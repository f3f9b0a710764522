"""What the model cannot do without: read from `wardround ablate`, where somebody trained it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.files.access import is_there
from experiments.ablating.figures import FIGURES, Figures, read_figures
from experiments.ablating.page import CAUSE, finding_of, sections_of
from experiments.explanations.clock import Clock
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.markup import Markup, tag

KEY = "ablation"
FOLDERS = ("ablation", "")
"""Within the run's, where `wardround ablate RUN` leaves its figures."""


@dataclass(frozen=True)
class Ablation:
    """As it was measured."""

    figures: Figures

    @property
    def word(self) -> str:
        """In the contents."""
        return "Left out"

    def finding(self) -> str:
        """What is surely missed."""
        return finding_of(self.figures)

    def facts(self) -> Mapping[str, Any]:
        """Over seeds; each run's are in ablation.json."""
        whole = self.figures.table()
        return {name: whole[name] for name in ("headline", "before", "variants")}

    def markup(self) -> Markup:
        """A section of each kind of what was left out."""
        return tag("div", *sections_of(self.figures), tag("p", CAUSE, class_="note"), id=KEY)


def ablation(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where nobody trained the run's study again. Raises FileError where what is there is damaged."""
    for name in FOLDERS:
        folder = subject.folder / name
        if folder.is_dir() and is_there(folder, FIGURES):
            return Ablation(read_figures(folder))
    return None


make: Make = ablation
