"""What a task can do beyond its role: members that are optional and declared. One that is absent is not possible.

A task declares them as any class does, `couples: ClassVar[bool] = True` or a method; the program asks for them here,
and never for the name or the class of a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast

if TYPE_CHECKING:  # a study is read, and a report written, without torch
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from common.data.cases import Batch, Shape
    from common.learning.imagined import Imagined
    from common.learning.panels import Panel
    from common.learning.task import Task
    from common.sums.mean import Mean

Drawn = Literal["outlines", "pair", "panels"]
"""Truth and prediction drawn on the image; two images and the moved one; or whatever `panels` answers."""


class Abilities(Protocol):
    """The optional members. No task has all of them."""

    views: ClassVar[tuple[str, ...]]
    """Columns that `augment` adds to a batch, with a row for every case: crops, masks, random starts. `loss` gets
    them; `score` and `predict` are asked about cases as they are held, and must do without. A case by itself has the
    loss of views that `augment` makes of it alone (`common.learning.losses.as_held`)."""
    couples: ClassVar[bool]
    """Whether the loss compares cases of a batch with each other. It is still (N,), one term a case, finite for a
    batch of one, and a step takes the mean of the terms; a batch is never cut into pieces. With FedSGD the terms of a
    hospital compare its own cases alone."""
    scored_whole: bool
    """Whether scores compare patients with each other: all cases that a hospital scores are then one batch."""
    companion: ClassVar[tuple[str, ...]]
    """Parts of the network, by the beginning of their names, that no gradient moves and that are exchanged and
    averaged with the model: a teacher, a centre. Their parameters and persistent buffers are float32."""
    follows_parameters: bool
    """Whether the companion moves in `follow` alone, by what is learned alone, so that no case moves it but through a
    step: privacy for a patient or a case needs that, and then undoes whatever `loss` does to it."""
    private_options: ClassVar[Mapping[str, object]]
    """Options under which a task `follows_parameters` that does not with others: they are named in a refusal."""
    watched: ClassVar[tuple[str, ...]]
    """Scores, as they are shown, of which 0 means that the network answers all cases alike, and that are 1 at most.
    Where they fall far below what they were before the first round, the run says that it has collapsed
    (`common.selfsupervision.health` makes such scores of any answers)."""
    optimised: ClassVar[Mapping[str, tuple[str, ...]]]
    """Groups of parameters, by the beginning of their names, each with an optimiser and a loss of its own: a step
    goes through them in order, and every one sees what those before it have changed. ("*",) has all that no other
    group has. {}: one optimiser has them all, as with other options."""
    drawn: ClassVar[Drawn]
    """What the report draws of a test case."""
    weighs_classes: bool
    """Whether the loss multiplies by the study's weights of classes (`common.learning.class_weights`)."""
    calibrates: bool
    """Whether the loss raises logits by the study's calibration (`common.learning.class_weights.prior_of`)."""
    loss_of_answers: ClassVar[bool]
    """Whether `loss` asks the network once, for answers to a batch's inputs alone; said by the class of `loss`."""
    unlabelled: bool
    """Whether it learns from inputs alone, and looks at no truth: cases may have none."""
    outlines: bool
    """Whether `predict` says a class of every pixel or voxel."""
    patched: bool
    """Whether a case may be of any size, since the network is shown parts of it."""
    answer_names: tuple[str, ...]
    """What the numbers of one case's `predict` are called, in order."""
    label_smoothing: float
    """Share of the truth that the loss spreads evenly over all classes."""
    number_names: tuple[str, ...]
    """What the real numbers of `numbers` are called, in order."""
    settled_in: int
    """The first round from which on `in_round` gives the task itself."""

    def logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, classes, ...) float32; a softmax over classes makes probabilities, the largest is what it predicts."""
        ...

    def numbers(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """The real numbers that explain what is answered: a risk, a value in its unit.

        Args:
            network: in evaluation mode.
            inputs: (N, *shape.inputs), of any floating precision.

        Returns:
            (N, K) in the inputs' precision, differentiable by them. Where an answer saturates, as a probability
            does, the number before that.
        """
        ...

    def in_own_unit(self, value: float) -> float:
        """A number that is learned, in the unit that it is scored in."""
        ...

    def summed_up(self, values: tuple[float, ...]) -> Mapping[str, float]:
        """One case's answer in a few numbers by name, told before the answer itself: a risk."""
        ...

    def meaning(self, value: str) -> str:
        """What the numbers are that the network answers, and what makes of them what a person wants to know.

        Args:
            value: what a number that is learned is called, by the study's source.

        Returns:
            A sentence.
        """
        ...

    def follow(self, network: nn.Module) -> None:
        """Move the companion after a step, in place and without a gradient, by what the network holds alone."""
        ...

    def begin(self, network: nn.Module) -> None:
        """Set the companion as it is before the first step, in place, by the parameters that are learned.

        Asked where these come from another model and the companion does not: a new teacher of an encoder that has
        learned. As the task builds it, a network has begun.

        Args:
            network: whose companion is set.
        """
        ...

    def in_round(self, number: int) -> Task:
        """The task as it is learned in one round, by the round's number alone.

        Args:
            number: of the round, from 1.

        Returns:
            A task with the same network, views and companion. Scores are of the task itself.
        """
        ...

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """What scores are made of, of each case alone; `score` is made of nothing else.

        So a network is asked once, in pieces of bounded memory, whatever is then scored: all cases, single patients,
        or samples of them. Of a task that says `scored_whole`, or whose scores are means of one number a case.

        Args:
            network: in evaluation mode, without gradients.
            batch: N cases.

        Returns:
            (N, ...) float64 by name, so that a piece's size leaves no trace.
        """
        ...

    def judged(self, answered: Mapping[str, Tensor]) -> Mapping[str, Mean]:
        """`score` of cases that were `answered`, all of them together."""
        ...

    def judged_each(self, answered: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The numbers, one a case, of which scores are the means; in the place of `judged`.

        Args:
            answered: of N cases, as `answered` gave it.

        Returns:
            (N,) by name, NaN for none. Where they compare cases, a patient's score is that of the own cases among
            all others.
        """
        ...

    def loss_of(self, network: nn.Module, batch: Batch, group: str) -> Tensor:
        """(N,) float32: what the parameters of one group of `optimised` are to make small."""
        ...

    def soft_loss(
        self, network: nn.Module, inputs: Tensor, truth: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """`loss` for truth that is only believed; it equals `loss` where chances are 0 and 1.

        Args:
            network: as `build_network` made it.
            inputs: (N, *shape.inputs) float32.
            truth: (N, *label_space) probabilities of classes.
            class_weights: (classes,) of each class in the loss; asked for only of a task that weighs classes.

        Returns:
            (N,), differentiable by inputs and truth, twice.
        """
        ...

    def label_space(self, shape: Shape) -> tuple[int, ...]:
        """Shape of one case's truth as probabilities, (classes, ...); (0,) where the loss asks for no truth."""
        ...

    def imagined(self, shape: Shape, cases: int, rng: np.random.Generator) -> Imagined:
        """How inputs and truth of so many guessed cases follow from images, and what of them chance draws by `rng`.

        Then attacks search images, and no truth beside them; the loss must be differentiable by them, twice.

        Args:
            shape: of a case.
            cases: how many are guessed.
            rng: of all draws.

        Returns:
            What makes a batch of images that are guessed.
        """
        ...

    def label_evidence(self, gradient: NDArray[np.float64], answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far answers were from the truth, on average over cases of one class each.

        Args:
            gradient: (classes,) the mean gradient of the loss by the last layer's bias.
            answers: (classes,) mean probabilities that the network answers.

        Returns:
            (classes,) mean over cases of probability minus truth.
        """
        ...

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor | Panel]:
        """Pictures of one case; asked for where `drawn` is "panels".

        Args:
            network: in evaluation mode, without gradients.
            batch: of one case.

        Returns:
            By name, (H, W) or (X, Y, Z) real numbers; of volumes the middle is shown. Each from its own black to its
            own white; a `Panel` says what is black, and can have colours and a note.
        """
        ...

    def presented(self, scores: Mapping[str, float | None]) -> Mapping[str, float | None]:
        """Scores as they are shown, made of merged means, where what is shown is no mean itself."""
        ...

    def network_shape(self, shape: Shape) -> Shape:
        """The shape of what the network is shown of cases, as of patches; one shape whatever shapes cases have."""
        ...

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """Shape of one target, where it is not that of a prediction."""
        ...

    def unusable(self, inputs: Tensor) -> tuple[int, str] | None:
        """The first case from which nothing follows, whatever the network.

        Such as a mask that leaves out everything: its hospital refuses it before any training, in these words.

        Args:
            inputs: (N, *shape.inputs) float32.

        Returns:
            Its place among the N and why, or None.
        """
        ...


NAMES = tuple(name for name in (*Abilities.__annotations__, *vars(Abilities)) if not name.startswith("_"))
TOGETHER = (
    ("follow", "companion"),
    ("begin", "companion"),
    ("follows_parameters", "companion"),
    ("private_options", "follows_parameters"),
    ("loss_of", "optimised"),
    ("optimised", "loss_of"),
    ("soft_loss", "label_space"),
    ("in_round", "settled_in"),
    ("settled_in", "in_round"),
    ("numbers", "number_names"),
    ("number_names", "numbers"),
    ("panels", "drawn"),
    ("judged", "answered"),
    ("judged_each", "answered"),
)
"""The first is of no use without the second."""
REST = "*"
"""In `optimised`: what no other group has."""


def can(task: Task, member: str) -> bool:
    """Whether the task has an optional member."""
    assert member in NAMES, member
    return getattr(task, member, None) is not None


def abilities(task: Task) -> Abilities:
    """The task, whose optional members are asked for only after `can`."""
    return cast(Abilities, task)


def task_in_round(task: Task, number: int) -> Task:
    """As it is learned in round `number`; the task itself for most."""
    return abilities(task).in_round(number) if can(task, "in_round") else task


def settled_in(task: Task) -> int:
    """The first round in which the task is learned as it is; 1 for most."""
    return int(getattr(task, "settled_in", 1))


def views(task: Task) -> tuple[str, ...]:
    """Columns that its augmentation makes; () for most."""
    return tuple(getattr(task, "views", ()))


def couples(task: Task) -> bool:
    """Whether its loss compares cases."""
    return bool(getattr(task, "couples", False))


def scored_whole(task: Task) -> bool:
    """Whether all cases that a hospital scores are one batch."""
    return bool(getattr(task, "scored_whole", False))


def compares_patients(task: Task) -> bool:
    """Whether no patient's part in a score can be told: it is of all together, and no mean of a number a case."""
    return scored_whole(task) and not can(task, "judged_each")


def companion(task: Task) -> tuple[str, ...]:
    """Beginnings of the names of what is exchanged beside the model; () for most."""
    return tuple(getattr(task, "companion", ()))


def follows_parameters(task: Task) -> bool:
    """Whether its companion moves by what is learned alone; where nothing is said, cases may move it."""
    return bool(getattr(task, "follows_parameters", False))


def private_options(task: Task) -> Mapping[str, object]:
    """Options that privacy for one patient needs; {} for most."""
    return dict(getattr(task, "private_options", {}))


def watched(task: Task) -> tuple[str, ...]:
    """Scores that tell whether answers of different cases differ; () for most."""
    return tuple(getattr(task, "watched", ()))


def optimised(task: Task) -> Mapping[str, tuple[str, ...]]:
    """Groups of parameters by name; {} where one optimiser has them all."""
    return dict(getattr(task, "optimised", {}))


def weighs_classes(task: Task) -> bool:
    """Whether its loss weighs classes."""
    return bool(getattr(task, "weighs_classes", False))


def calibrates(task: Task) -> bool:
    """Whether its loss raises logits by a hospital's own shares of classes."""
    return bool(getattr(task, "calibrates", False))


def unlabelled(task: Task) -> bool:
    """Whether it looks at no truth."""
    return bool(getattr(task, "unlabelled", False))


def outlines(task: Task) -> bool:
    """Whether it says a class of every pixel or voxel."""
    return bool(getattr(task, "outlines", False))


def patched(task: Task) -> bool:
    """Whether a case may be of any size."""
    return bool(getattr(task, "patched", False))


def label_smoothing(task: Task) -> float:
    """Share of the truth that the loss spreads evenly over all classes; 0 for most."""
    return float(getattr(task, "label_smoothing", 0.0))


def answer_names(task: Task) -> tuple[str, ...]:
    """What the numbers of an answer are called; () where it does not say."""
    return tuple(getattr(task, "answer_names", ()))


def number_names(task: Task) -> tuple[str, ...]:
    """What the numbers of `numbers` are called; () where there are none."""
    return tuple(getattr(task, "number_names", ()))


def presented(task: Task, scores: Mapping[str, float | None]) -> dict[str, float | None]:
    """Scores as they are shown."""
    return dict(abilities(task).presented(scores) if can(task, "presented") else scores)


def shown_shape(task: Task, shape: Shape) -> Shape:
    """The shape of what the network is shown: of a case, but where the task says otherwise (patches).

    Args:
        task: whose network it is.
        shape: of cases.

    Returns:
        One shape, whatever shapes cases have.

    Raises:
        StudyError: cases differ in shape and the task does not bring them to one.
    """
    return abilities(task).network_shape(shape) if can(task, "network_shape") else shape


def no_case_loss(task: Task) -> str:
    """Why one case by itself has no loss; empty where it has, of views that follow from it alone if need be."""
    if couples(task):
        return "its loss compares the cases of a batch, and a case alone has none"
    return no_one_gradient(task)


def no_one_gradient(task: Task) -> str:
    """Why what a hospital sends is no gradient of one loss; empty where it is one, or made of such steps."""
    if optimised(task):
        return f"it is learned by several losses in turn ({', '.join(optimised(task))}), of which none is the model's"
    return ""


def no_guessed_loss(task: Task) -> str:
    """Why the loss that was trained on cannot be worked out for a case that is only guessed; empty where it can."""
    if views(task):
        drawn = ", ".join(views(task))
        return f"training shows a case differently each time, by draws of augmentation ({drawn}) unknown to it"
    return no_case_loss(task)


def no_followed_loss(task: Task) -> str:
    """As `no_soft_loss`, of a search that can guess images from which inputs and truth both follow."""
    return no_guessed_loss(task) if can(task, "imagined") else no_soft_loss(task)


def no_soft_loss(task: Task) -> str:
    """Why a guessed case has no loss that an attack can follow; empty where it has."""
    if reason := no_guessed_loss(task):
        return reason
    if getattr(task, "own_loss", None) is not None:
        return "this search guesses probabilities of classes, and the study's own loss takes classes"
    if not can(task, "soft_loss"):
        return "this search guesses probabilities of classes, and the task has no loss for them (soft_loss)"
    return ""
