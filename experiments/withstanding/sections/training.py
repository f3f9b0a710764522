"""What makes a model withstand, what does not though it sounds as if it did, and which of them this run's had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.trained_ways import MEASURED, SIZES, SOURCE, Way
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, section
from server.reporting.wording import score

KEY, TITLE = "training", "What makes a model withstand, and what does not"
LEDE = (
    "A model can be trained on changed inputs, so that it learns to answer them as well. It matters when they are "
    "changed, and against which model."
)
SOUNDS_RIGHT = (
    "What sounds right: train a model, change every training image once so that it misleads that model, add the "
    "changed images to the data, and train again. Measured, the second model is misled more easily than the first."
)
WHY = (
    "The changed images mislead the first model, and it is the second that learns. After a few steps of training its "
    "weak places lie elsewhere, and nobody looks for them.",
    "All changed images carry the pattern of one fixed model. It is a mark as good as a letter burnt into the film: "
    "the second model learns to read the mark, scores well on everything that bears it, and has become surer of tiny "
    "patterns, which is what it is misled by.",
)
WORKS = (
    "What works is to change the images anew at every step of training, against the model as it then is. It costs "
    "about twice the time with one step of change (FGSM, from a random start), and a few points of the score of "
    "unchanged images where it is asked to withstand more."
)
RECIPES = {
    "course": "This run was trained with images that were changed once against its first model.",
    "fgsm": "This run was trained against changes: at every step, by one step of the model's own slope.",
    "pgd": "This run was trained against changes: at every step, by several steps of the model's own slope.",
    "trades": "This run was trained so that answers move little with the inputs (TRADES).",
}
PLAINLY = "This run was trained plainly: nothing in its training asked it to withstand a change."
OTHERWISE = "This run was trained against changes, by a recipe of its own."


@dataclass(frozen=True)
class Training:
    """recipe: of this run's training; "" where it was trained plainly."""

    recipe: str
    measured: tuple[Way, ...] = MEASURED

    @property
    def word(self) -> str:
        """In the contents."""
        return "Training"

    def facts(self) -> Mapping[str, Any]:
        """This run's recipe, and what others reached."""
        return {
            "recipe": self.recipe,
            "measured": {one.name: dict(zip(SIZES, one.scores, strict=True)) for one in self.measured},
            "measured_on": SOURCE,
        }

    def finding(self) -> str:
        """How this run was trained."""
        return RECIPES.get(self.recipe, OTHERWISE) if self.recipe else PLAINLY

    def markup(self) -> Markup:
        """Words and measured figures."""
        rows = [[one.words, *map(score, one.scores)] for one in self.measured]
        return section(
            KEY,
            TITLE,
            LEDE,
            tag("p", SOUNDS_RIGHT),
            tag("ul", *(tag("li", one) for one in WHY)),
            tag("p", WORKS),
            figure("Balanced accuracy as images are changed", table(("Trained", *SIZES), rows), note=SOURCE),
        )


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """Always."""
    entry = subject.trained.entries["task"]
    if entry.name != "adversarial":
        return Training("")
    recipe = entry.options.get("recipe", "pgd")
    return Training(str(recipe["name"] if isinstance(recipe, Mapping) else recipe))
