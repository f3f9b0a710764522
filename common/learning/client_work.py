"""What a hospital is asked to do in a round, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from common.errors import StudyError
from common.learning.class_weights import balanced
from common.learning.schedules import Schedule, rate_in_round
from common.study.checks import between, listed, non_negative, positive

Sends = Literal["gradient", "delta"]
REACH, CURVATURE = "reach", "curvature"
"""Names of means beside an update's vectors: FedNova's |a_k| and q-FedAvg's h_k / L, weighed by cases."""
Optimiser = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]


@dataclass(frozen=True)
class Training:
    """`[training]` of a study: how a hospital trains on its own cases.

    Attributes:
        epochs: passes over the training cases a round (McMahan's E).
        steps: a number of steps instead of epochs.
        batch_size: cases a step (B), or "full".
        learning_rate: of the local optimiser.
        schedule: how it changes from round to round; see `common.learning.schedules`. That of strategy.learning_rate
            is the study's `server_schedule`.
        optimiser: torch's, begun anew every round, with torch's other defaults.
        momentum: of "sgd": share of the last step that the next one keeps. nesterov: Nesterov's, as torch has it.
        weight_decay: as torch's optimisers take it: lambda / 2 times the squared norm is added to the loss, or, in
            "adamw", every step shrinks the parameters.
        decayed: what weight_decay is of: "all" parameters, or "weights", those of two axes or more, and so no bias
            and no normalisation.
        l1: lambda times the sum of the weights' absolute values is added to the loss, weights being as in `decayed`.
            Every step of the optimiser is followed by the proximal step, which moves each weight towards 0 by
            learning_rate * l1 at most and leaves exact zeros (Duchi and Singer 2009, FOBOS, equation 19). The mean of
            several hospitals' models is 0 where all of theirs are.
        clip_gradient_norm: the most the L2 norm of a step's mean gradient may be, proximal terms included (Pascanu
            et al. 2013, algorithm 1); it promises no privacy, and where that is promised comes after the noise.
        class_weights: of each class in the loss, in order; "balanced", n / (K n_c) by `class_counts`; "own", the same
            by each hospital's own counts, so that every hospital minimises an objective of its own, and the
            federation their mean. See `common.learning.class_weights` for what is weighed.
        calibration: "own": in training every logit is raised by the logarithm of its class' share of the hospital's
            own cases, so that what a hospital has much of need not be learned as likely everywhere (Chen et al. 2022,
            CalFAT; Menon et al. 2021, logit adjustment). The model itself answers without it.
        class_counts: how many cases (voxels) of each class there are, as is public.
        sampling: "shuffled", every case once an epoch; "by_class", every batch holds the classes that a hospital has
            evenly, rare ones' cases over and again; see `client.balanced_batches`.
        freeze: patterns of parameters' names, such as "encoder.*", that are not trained and do not travel.
        personal: patterns of parameters' names that each hospital trains and keeps to itself from round to round: a
            head (Arivazhagan et al. 2019, FedPer), normalisation (Li et al. 2021, FedBN; here of layers without
            running statistics). They never travel, and a hospital's scores are of its own.
        warm_up_steps: of optimisers other than "sgd": so many first local steps of every round rise evenly to the
            learning rate. Adam, begun anew, first moves every parameter by the whole rate, however small its
            gradient, which round after round undoes what was learned (Liu et al. 2020, RAdam, section 3, on why).
        bootstrap: the number of a draw: each hospital trains on as many of its training patients as it has, drawn
            with replacement, so that models of several draws show how much the patients who happened to be there
            matter (Efron 1979). Not given: on all of them.
        label_share: of each hospital's training persons, those whose labels are used, class by class: 0.1 learns from
            a tenth of each class, as where labels are scarce; see `common.learning.label_draw`. Persons whose labels
            are not used are in no step, no score and no number of training cases. Not given: all.
        label_draw: the number of the draw, 0 where it is not given: other numbers take other persons, and a larger
            share of the same number the same persons and more.
        precision: of the network's arithmetic.
    """

    epochs: int = 1
    steps: int | None = None
    batch_size: int | Literal["full"] = 32
    learning_rate: float = 0.1
    optimiser: Optimiser = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    schedule: Schedule | None = None
    nesterov: bool = False
    decayed: Literal["all", "weights"] = "all"
    l1: float = 0.0
    clip_gradient_norm: float | None = None
    class_weights: tuple[float, ...] | Literal["balanced", "own"] | None = None
    class_counts: tuple[int, ...] = ()
    calibration: Literal["own"] | None = None
    sampling: Literal["shuffled", "by_class"] = "shuffled"
    freeze: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    bootstrap: int | None = None
    warm_up_steps: int = 0
    label_share: float | None = None
    label_draw: int | None = None

    def __post_init__(self) -> None:
        positive("training", epochs=self.epochs, steps=self.steps, learning_rate=self.learning_rate)
        positive("training", clip_gradient_norm=self.clip_gradient_norm)
        non_negative("training", momentum=self.momentum, weight_decay=self.weight_decay, l1=self.l1)
        non_negative("training", bootstrap=self.bootstrap or 0, warm_up_steps=self.warm_up_steps)
        self._check_labels()
        listed("training", least=0, freeze=self.freeze, personal=self.personal)
        if self.batch_size != "full":
            positive("training", batch_size=self.batch_size)
        elif self.sampling == "by_class":
            raise StudyError("training.sampling = 'by_class' draws batches: give training.batch_size a number.")
        if self.momentum and self.optimiser != "sgd":
            raise StudyError(f"training.momentum is an option of 'sgd', not of {self.optimiser!r}.")
        if self.nesterov and not self.momentum:
            raise StudyError("training.nesterov is a way of using momentum: set training.momentum, such as 0.9.")
        if self.decayed != "all" and not self.weight_decay:
            raise StudyError("training.decayed says what training.weight_decay is of, which is 0.")
        self._check_class_weights()

    def in_round(self, number: int) -> Training:
        """As it is in round `number`, without a schedule."""
        if self.schedule is None:
            return self
        rate = rate_in_round(self.learning_rate, self.schedule, number)
        return replace(self, learning_rate=rate, schedule=None)

    @property
    def public_class_weights(self) -> tuple[float, ...] | None:
        """Those that everybody knows; None where there are none, or each hospital has its own."""
        if self.class_weights == "balanced":
            return balanced(self.class_counts)
        return self.class_weights if isinstance(self.class_weights, tuple) else None

    def _check_labels(self) -> None:
        non_negative("training", label_draw=self.label_draw or 0)
        if self.label_share is not None:
            positive("training", label_share=self.label_share)
            between("training", 0, 1, label_share=self.label_share)
        elif self.label_draw is not None:
            raise StudyError(
                "training.label_draw is the number of a draw of labels: set training.label_share, as 0.1."
            )

    def _check_class_weights(self) -> None:
        if self.class_counts and self.class_weights != "balanced":
            raise StudyError("training.class_counts are for training.class_weights = 'balanced'; set that too.")
        if self.class_weights == "balanced":
            if not self.class_counts:
                raise StudyError(
                    "training.class_weights = 'balanced' needs training.class_counts, how many cases of each class "
                    "there are, as is public; 'own' weighs by each hospital's own counts."
                )
            positive("training", **{f"class_counts[{index}]": one for index, one in enumerate(self.class_counts)})
        if isinstance(self.class_weights, tuple):
            non_negative("training", **{f"class_weights[{i}]": one for i, one in enumerate(self.class_weights)})
            if not any(self.class_weights):
                raise StudyError("training.class_weights are all 0: nothing would be learned.")


@dataclass(frozen=True)
class Work:
    """One round's order from a strategy to every selected hospital.

    sends: "gradient", the sum of the cases' gradients at the received model, or "delta", n_k times the change
    that local training made. proximal_mu: weight of FedProx' term. controlled: a second vector, the server's
    control variate, came with the model, and a second one goes back (SCAFFOLD). normalised: the change is divided by
    how far its steps reach (FedNova). fairness: q of q-FedAvg, the change is weighed by the loss to this power.
    """

    sends: Sends
    proximal_mu: float = 0.0
    controlled: bool = False
    normalised: bool = False
    fairness: float | None = None

    @property
    def vectors(self) -> int:
        """How many vectors of the model's length an update holds."""
        return 2 if self.controlled else 1

    @property
    def beside(self) -> tuple[str, ...]:
        """Means that an update holds beside the loss, which the strategy's step needs."""
        return (REACH,) * self.normalised + (CURVATURE,) * (self.fairness is not None)
