"""Programs that attack what private pretraining sends: the teacher, its centre, views of one person."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from client.clipped_sums import WAYS, clipped_sum
from client.clipping import CaseLoss
from client.private_training import PrivateTrainer
from common.data.cases import Batch, Cases, Shape
from common.learning.client_work import Training
from common.learning.declared_abilities import check_declared
from common.learning.losses import follow
from common.learning.parameters import Layout, new_network
from common.learning.task import Task
from common.privacy.noise import SeededNoise, gaussian
from common.seeding import case_generators
from common.selfsupervision.probed_centre import ProbedCentre
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.study.study import parse
from common.sums.update import Vector

SHAPE, FEATURES, PERSONS, CLIP, NOISE = Shape((1, 6, 6), 1), 5, 12, 0.5, 40.0
STEPS = Training(steps=3, batch_size="full", learning_rate=0.1, optimiser="adam")


class OfCases(nn.Module):
    """A centre as DINO has it, of what the teacher said of a step's cases, kept in mind until the step is over."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.total: Tensor
        self.count: Tensor
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("total", torch.zeros(FEATURES), persistent=False)
        self.register_buffer("count", torch.zeros(()), persistent=False)

    def forward(self, answers: Tensor) -> Tensor:
        self.total += answers.sum(0)
        self.count += len(answers)
        return answers - self.mean

    def move(self, teacher: nn.Module, momentum: float) -> None:
        if self.count:
            self.mean.lerp_(self.total / self.count, 1 - momentum)


def student() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, FEATURES))


class Pair(nn.Module):
    def __init__(self, centre: nn.Module) -> None:
        super().__init__()
        self.student = student()
        self.teacher = deepcopy(self.student)
        self.centre = centre


@dataclass(frozen=True)
class Dino:
    """Caron et al. 2021 in miniature. naive: whether its centre is of cases. together: of views, through the network
    at once, as so many rows."""

    headline: ClassVar[str] = "loss"
    views: ClassVar[tuple[str, ...]] = ("first", "second")
    companion: ClassVar[tuple[str, ...]] = ("teacher", "centre.mean")
    follows_parameters: ClassVar[bool] = True

    naive: bool = False
    together: bool = False

    def build_network(self, shape: Shape) -> nn.Module:
        return Pair(OfCases() if self.naive else ProbedCentre(FEATURES, shape.inputs))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        noise = np.stack([one.normal(0, 0.1, (2, 1, 6, 6)) for one in case_generators(rng, len(batch))])
        first, second = torch.from_numpy(noise.astype(np.float32)).unbind(1)
        return batch.with_columns(first=batch.inputs + first, second=batch.inputs + second)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(network, Pair)
        first, second = batch.tensor("first"), batch.tensor("second")
        with torch.no_grad():
            told = (network.centre(network.teacher(second)) / 0.5).softmax(1)
        asked = network.student(torch.cat([first, second])).chunk(2)[0] if self.together else network.student(first)
        return cross_entropy(asked, told, reduction="none")

    def follow(self, network: nn.Module) -> None:
        assert isinstance(network, Pair)
        for slow, fast in zip(network.teacher.parameters(), network.student.parameters(), strict=True):
            slow.lerp_(fast, 0.3)
        network.centre.move(network.teacher, 0.5)  # type: ignore[operator]


@pytest.fixture(autouse=True)
def _as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of others is given a copy of the network a case; ours is not, and must be as safe."""
    monkeypatch.setattr("client.clipped_sums.is_ours", lambda task: True)


def cases(persons: int = PERSONS) -> Cases:
    """The last of whom is unlike all others."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(PERSONS, 1, 6, 6)).astype(np.float32)
    inputs[-1] = 30.0
    names = np.array([f"p{index:02d}" for index in range(PERSONS)])
    return Cases.of(inputs, np.zeros(PERSONS, np.int64), names, ("one",)).take(np.arange(persons))


@dataclass(frozen=True)
class Recorded(PrivateTrainer):
    """What is released of every step is written down."""

    released: tuple[list[Vector], ...] = ()

    def noisy_sum(self) -> Vector:
        found = super().noisy_sum()
        self.released[0].append(found)
        return found


@dataclass(frozen=True)
class Replayed(PrivateTrainer):
    """Anybody, who has no case and knows what was released of every step."""

    released: tuple[list[Vector], ...] = ()

    def noisy_sum(self) -> Vector:
        return self.released[0].pop(0)


@dataclass(frozen=True)
class Careless(PrivateTrainer):
    """As if nothing were undone: what the loss did to the companion stays."""

    def clipped_sum(self) -> Vector:
        return clipped_sum(self._loss(), self._units(), self.clip_norm)


def trainer(task: Task, own: Cases, kind: type[PrivateTrainer] = PrivateTrainer) -> PrivateTrainer:
    """The same noise, and everybody in every step, whoever is there: only cases differ."""
    noised = gaussian(NOISE * CLIP, SeededNoise(np.random.default_rng(7)))
    rng = np.random.default_rng(3)
    network = new_network(task, SHAPE, 1)
    return kind(task, network, own, STEPS, CLIP, noised, "patient", 1.0, rng, public_size=PERSONS)


@pytest.mark.parametrize("task", [Dino(), Dino(naive=True), Dino(together=True)])
def test_all_that_leaves_is_worked_out_from_noisy_sums_by_whoever_has_no_case(task: Dino) -> None:
    """Model, teacher and centre, bit for bit: then noise for the sums is noise enough for all of it."""
    released: tuple[list[Vector], ...] = ([],)
    update, steps = replace(trainer(task, cases(), Recorded), released=released).local_update()  # type: ignore[call-arg]
    assert len(released[0]) == steps == 3
    again = replace(trainer(task, cases(0), Replayed), released=released).local_update()  # type: ignore[call-arg]
    assert np.array_equal(update.vectors[0], again[0].vectors[0])
    centre = Layout.of(new_network(task, SHAPE, 1)).tensors(update.vectors[0])["centre.mean"]
    assert np.any(centre) != task.naive, "a centre of noise moves, and one of cases stands still"


MLP = {"network": Entry("mlp", {"hidden": [8]}), "centre": "noise", "projection": 4, "hidden": 8}
TOKENS = Entry("vit", {"patch": 1, "width": 8, "depth": 1, "heads": 2})
OURS = {"byol": MLP, "dino": MLP, "ijepa": {"network": TOKENS}, "mae": {"network": TOKENS, "normalised": False}}


@pytest.mark.parametrize("name", OURS)
def test_so_is_all_that_leaves_of_every_task_of_ours(name: str) -> None:
    task = TASKS.build(Entry(name, OURS[name]))
    released: tuple[list[Vector], ...] = ([],)
    update, _ = replace(trainer(task, cases(), Recorded), released=released).local_update()  # type: ignore[call-arg]
    again, _ = replace(trainer(task, cases(0), Replayed), released=released).local_update()  # type: ignore[call-arg]
    assert np.array_equal(update.vectors[0], again.vectors[0])
    parts = Layout.of(new_network(task, SHAPE, 1)).tensors(update.vectors[0])
    assert all(np.any(values) for part, values in parts.items() if part.startswith(("teacher", "centre"))), parts


def told_apart(task: Dino, kind: type[PrivateTrainer]) -> float:
    """How far the centres of two hospitals lie apart that differ in one person, over what noise may explain.

    The first step's noise reaches the centre through the teacher alone; the attacker knows the noise, as here, or
    does not care: what one person adds to a centre of cases is the teacher's answer, whatever the noise.
    """
    ends = []
    for persons in (PERSONS, PERSONS - 1):
        one = trainer(task, cases(persons), kind)
        one = replace(one, training=replace(STEPS, steps=1, optimiser="sgd", learning_rate=1e-9))
        one.train()
        ends.append(one.network.get_submodule("centre").mean.clone())
    return float((ends[0] - ends[1]).norm())


def test_a_centre_of_cases_gives_one_person_away_and_one_of_noise_does_not() -> None:
    """Noise is 40 clip norms and the learning rate next to nothing, so that nothing can be seen in the model."""
    assert told_apart(Dino(naive=True), Careless) > 0.1
    assert told_apart(Dino(naive=True), PrivateTrainer) == 0
    assert told_apart(Dino(), PrivateTrainer) < 1e-6


def test_whoever_knows_all_others_reads_the_teachers_answer_to_one_person_off_a_centre_of_cases() -> None:
    """The attack: n times the mean, less the answers to all others, is the answer to the last, so an image of it."""
    task = Dino(naive=True)
    one = trainer(task, cases(), Careless)
    one = replace(one, training=replace(STEPS, steps=1, optimiser="sgd", learning_rate=1e-9))
    teacher = deepcopy(one.network.get_submodule("teacher"))
    views = [
        task.augment(one.cases.batch(np.array([i])), np.random.default_rng(0)).tensor("second") for i in range(12)
    ]
    one.train()
    with torch.no_grad():
        mean = one.network.get_submodule("centre").mean / 0.5
        answers = torch.cat([teacher(view) for view in views])
    stolen = PERSONS * mean - answers[:-1].sum(0)
    others = (answers[:-1] - stolen).norm(dim=1).min()
    assert (stolen - answers[-1]).norm() < 0.1 * others


def test_a_centre_of_noise_keeps_one_answer_from_winning_for_all_images() -> None:
    """A teacher that says the same of everything: without its centre no answer is likelier than another."""
    task = Dino()
    network = new_network(task, SHAPE, 1)
    assert isinstance(network, Pair)
    with torch.no_grad():
        for part in (network.student, network.teacher):
            part[3].weight.zero_()  # type: ignore[index]
            part[3].bias.copy_(torch.tensor([9.0, 0, 0, 0, 0]))  # type: ignore[index]
    for _ in range(30):
        follow(task, network)
    answered = network.centre(network.teacher(cases().batch().inputs)).softmax(1)
    torch.testing.assert_close(answered, torch.full_like(answered, 1 / FEATURES), atol=1e-4, rtol=0)


@pytest.mark.parametrize("way", WAYS)
def test_two_views_of_a_person_are_clipped_together_or_not_at_all(way: str) -> None:
    """Shown as 2 N rows, they were taken for 2 N persons: one moved the sum by up to two clip norms."""
    task = Dino(together=True)
    loss = CaseLoss(task, new_network(task, SHAPE, 1).train())
    batch = task.augment(cases(1).batch(), np.random.default_rng(0))
    try:
        found = WAYS[way](loss, batch, 1e-3)
    except NotImplementedError:
        assert way in ("layers", "hooks")
        return
    assert np.linalg.norm(found.astype(np.float64)) <= 1e-3


def test_one_person_moves_the_sum_by_one_clip_norm_however_many_views() -> None:
    task = Dino(together=True)
    units = [task.augment(cases().batch(np.array([i])), np.random.default_rng(i)) for i in range(PERSONS)]
    loss = CaseLoss(task, new_network(task, SHAPE, 1).train())
    sums = [clipped_sum(loss, some, CLIP).astype(np.float64) for some in (units, units[:-1])]
    assert 0 < np.linalg.norm(sums[0] - sums[1]) <= CLIP


def test_a_case_alone_is_shown_as_it_is_among_others() -> None:
    """The second of three, whose generator is the second that is asked for."""
    task, rng = Dino(), np.random.default_rng(5)
    together = task.augment(cases(3).batch(), np.random.default_rng(5))
    alone = [task.augment(cases().batch(np.array([index])), rng) for index in range(3)]
    assert torch.equal(together.tensor("first")[1], alone[1].tensor("first")[0])


def test_a_companion_goes_with_a_promise_only_where_it_is_declared_to_follow_the_model() -> None:
    check_declared(Dino(), "dino")


def test_a_refusal_names_the_tasks_that_have_such_privacy() -> None:
    text = 'title="T"\nrounds=2\nengine="inline"\nsource={name="phantom"}\ntask={name="simclr"}\n'
    with pytest.raises(Exception, match="privacy 'hospital', which clips") as caught:
        parse(text, ['privacy={name="dpsgd",epsilon=1.0,delta=1e-4}'])
    assert "'simclr'" not in str(caught.value).rpartition("choose")[2]
