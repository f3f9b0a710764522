"""`[defence]` of a study: how far one hospital can move the model, and how a round that harmed it is taken back."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import StudyError
from common.learning.client_work import Work
from common.study.checks import between, non_negative, positive


@dataclass(frozen=True)
class Defence:
    """Against a hospital that poisons. Nothing of it is on unless the study says so, and all of it is agreed on.

    Attributes:
        update_norm: the most the L2 norm of one hospital's mean update may be (Sun et al. 2019, norm bounding). Each
            hospital clips its own before it is masked. The server drops a longer one where it reads it, and else
            takes a round back whose sum is longer than all its hospitals could make it. Not given: no bound.
        votes: in every round each hospital compares the model of the round before with the one before that, on its
            own validation cases, and votes (Andreina et al. 2021, BaFFLe); the votes travel in the round's sum.
        worse_by: by which share of the loss before a model must be worse for a hospital to say so; by one standard
            error over its patients it must be in any case.
        worse_share: of the votes; where more say that a model is worse, its round is taken back.
        most_taken_back: the run ends, with the last model that was not taken back, once this has happened so often.
    """

    update_norm: float | None = None
    votes: bool = False
    worse_by: float = 0.02
    worse_share: float = 0.5
    most_taken_back: int = 3

    def __post_init__(self) -> None:
        positive("defence", update_norm=self.update_norm, most_taken_back=self.most_taken_back)
        non_negative("defence", worse_by=self.worse_by)
        between("defence", 0, 0.99, worse_share=self.worse_share)

    @property
    def is_on(self) -> bool:
        """Whether the study defends itself at all."""
        return self.votes or self.update_norm is not None


def check_defence(defence: Defence, is_private: bool, validation: float, strategy: str, work: Work) -> None:
    """Raise StudyError where a defence would break a promise, has nothing to judge by, or bounds nothing."""
    if defence.votes and is_private:
        raise StudyError(
            "defence.votes tells how a model does on validation patients, which no noise covers, and the study "
            "promises privacy: remove defence.votes, or remove [privacy]."
        )
    if defence.update_norm is not None and is_private:
        raise StudyError(
            "defence.update_norm would cut updates after their noise was added: a privacy mechanism clips by its own "
            "clip_norm. Remove defence.update_norm, or remove [privacy]."
        )
    if defence.votes and not validation:
        raise StudyError("defence.votes needs validation patients to judge by: set split.validation above 0.")
    if defence.update_norm is not None and (work.controlled or work.beside):
        raise StudyError(
            f"defence.update_norm bounds the mean update, and with strategy {strategy!r} a hospital moves the model "
            "by other numbers beside it: choose another strategy, or remove defence.update_norm."
        )
