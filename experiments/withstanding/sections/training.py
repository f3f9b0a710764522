"""What makes a model withstand, what does not though it sounds as if it did, and which of them this run's had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.trained_ways import SIZES, TRIALS, Trial
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
    "changed images to the data, and train again. How far that carries depends on how far the second model moves "
    "away from the first. Measured, it helped against small changes, and far less against large ones, as long as it "
    "stayed near. Where it was trained for long, it was worse than plain training on images as they are and on "
    "small changes alike. Two things are missing:"
)
WHY = (
    "The changed images mislead the first model, and it is the second that learns. The further it moves away, the "
    "more its weak places lie elsewhere, and nobody looks for them.",
    "All changed images carry the pattern of one fixed model. It is a mark as good as a letter burnt into the film: "
    "a model can learn to read the mark and score well on everything that bears it, without becoming steadier "
    "anywhere.",
)
WORKS = (
    "What lasts is to change the images anew at every step of training, against the model as it then is. With one "
    "step of change (FGSM, from a random start) it takes about twice the time of plain training, and costs some "
    "points of the score of unchanged images. Where hospitals hold other mixtures of patients, a model that is "
    "misled before it has learned anything may never begin to learn: it learns plainly for some rounds first, and "
    "the change grows (plain_rounds, grows_over)."
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
    measured: tuple[Trial, ...] = TRIALS

    @property
    def word(self) -> str:
        """In the contents."""
        return "Training"

    def facts(self) -> Mapping[str, Any]:
        """This run's recipe, and what others reached."""
        return {
            "recipe": self.recipe,
            "measured": [
                {
                    "trial": trial.name,
                    "note": trial.note,
                    "balanced_accuracy": {one.words: dict(zip(SIZES, one.scores, strict=True)) for one in trial.ways},
                }
                for trial in self.measured
            ],
        }

    def finding(self) -> str:
        """How this run was trained."""
        return RECIPES.get(self.recipe, OTHERWISE) if self.recipe else PLAINLY

    def markup(self) -> Markup:
        """Words and measured figures."""
        return section(
            KEY,
            TITLE,
            LEDE,
            tag("p", SOUNDS_RIGHT),
            tag("ul", *(tag("li", one) for one in WHY)),
            tag("p", WORKS),
            *map(_figure, self.measured),
        )


def _figure(trial: Trial) -> Markup:
    rows = [[one.words, *map(score, one.scores)] for one in trial.ways]
    return figure(f"{trial.name}: balanced accuracy", table(("Trained", *SIZES), rows), note=trial.note)


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """Always."""
    entry = subject.trained.entries["task"]
    if entry.name != "adversarial":
        return Training("")
    recipe = entry.options.get("recipe", "pgd")
    return Training(str(recipe["name"] if isinstance(recipe, Mapping) else recipe))
