"""Losses of images by hand and by their laws; an encoder that is brought, and a critic that learns in turn."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from client.training import Trainer
from common.data.cases import Cases
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.losses import case_losses, groups_of
from common.learning.parameters import Layout, new_network, trainable
from common.learning.task import Task
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.image_loss import ImageLoss
from common.reconstruction.losses._pixels import variation
from common.study.catalogue import LOSSES, TASKS
from common.study.options import Entry
from wardround.testing import LossTests

CASES, SIDE = 6, 16
ENCODER: dict[str, object] = {"name": "groupnorm_cnn", "channels": 4}
OPTIONS: dict[str, dict[str, object]] = {
    "l1": {"total_variation": 0.1},
    "l2": {},
    "huber": {"delta": 0.1},
    "perceptual": {"network": ENCODER, "total_variation": 0.01},
    "gan": {"channels": 4, "weight": 0.1},
}
PLAIN = ("l1", "l2", "huber")


def images(seed: int = 0, channels: int = 1) -> Tensor:
    return torch.rand(CASES, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def loss(name: str, **options: object) -> Any:
    return LOSSES.build(Entry(name, options))


def task(name: str, **options: object) -> Task:
    given = {"network": {"name": "unet", "channels": 4, "depth": 2}, "operator": "denoising"}
    made: Task = TASKS.build(Entry("postprocessed", {**given, "loss": {"name": name, **OPTIONS[name], **options}}))
    return made


def task_of_own(name: str) -> Task:
    options = {"network": {"name": "unet", "channels": 4, "depth": 2}, "operator": "denoising", "loss": name}
    made: Task = TASKS.build(Entry("postprocessed", options))
    return made


def cases() -> Cases:
    truth = images()
    noisy = truth + 0.3 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(2))
    return Cases.of(noisy.numpy(), truth.numpy(), [f"p{index}" for index in range(CASES)])


def step(made: Task, network: nn.Module, steps: int = 1) -> None:
    training = Training(steps=steps, batch_size="full", learning_rate=0.01, optimiser="adam")
    Trainer(made, network, cases(), training, np.random.default_rng(0)).train()


def test_every_loss_of_ours_is_tried() -> None:
    assert OPTIONS.keys() == set(LOSSES.names())


class TestPlain(LossTests):
    """What every loss must be, those of ours as anybody's."""

    @pytest.fixture(params=PLAIN)
    def made(self, request: pytest.FixtureRequest) -> Any:
        return loss(request.param, **OPTIONS[request.param]).of, images(1), images()


def test_hubers_loss_is_the_courses() -> None:
    """0.5 a^2 where |a| is 1 at most, else |a| - 0.5."""
    away = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.2, 1.0, 2.0])
    by_hand = torch.tensor([2.5, 0.5, 0.125, 0.0, 0.02, 0.5, 1.5])
    torch.testing.assert_close(loss("huber").of(away[:, None], torch.zeros(7, 1)), by_hand)
    scaled = loss("huber", delta=0.5).of(away[:, None], torch.zeros(7, 1))
    torch.testing.assert_close(scaled[0], torch.tensor(0.5 * (3 - 0.25)))


def test_total_variation_by_hand_is_the_mean_norm_of_the_gradient() -> None:
    """A pixel of 3 and 4 differences has a norm of 5; the others one difference, or none."""
    image = torch.tensor([[[[0.0, 3.0], [4.0, 4.0]]]])
    # forward differences: (0, 0): 3 and 4; (0, 1): 1 down; (1, 0): 0; (1, 1): none
    assert float(variation(image)) == pytest.approx((5 + 1 + 0 + 0) / 4, abs=1e-3)
    assert float(variation(torch.full((1, 1, 4, 4), 0.3))) == pytest.approx(0, abs=1e-9)


def test_total_variation_is_added_by_its_weight_and_has_a_gradient_in_even_images() -> None:
    even = torch.full((2, 1, 4, 4), 0.5, requires_grad=True)
    loss("l1", total_variation=2.0).of(even, torch.zeros(2, 1, 4, 4)).sum().backward()
    assert even.grad is not None and torch.isfinite(even.grad).all()
    with_it = loss("l2", total_variation=2.0).of(images(1), images())
    torch.testing.assert_close(with_it, loss("l2").of(images(1), images()) + 2 * variation(images(1)))


@pytest.mark.parametrize("name", PLAIN)
def test_a_loss_of_images_refuses_answers_of_another_shape_than_the_truth(name: str) -> None:
    with pytest.raises(StudyError, match="one shape"):
        loss(name).of(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4))


@pytest.mark.parametrize("name", ["perceptual", "gan"])
def test_a_loss_with_parts_is_refused_where_there_are_no_images(name: str) -> None:
    made = TASKS.build(Entry("regression", {"center": 0, "spread": 1, "loss": name, "network": "mlp"}))
    with pytest.raises(StudyError, match="reconstruct"):
        made.build_network(Cases.of(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), ["a", "b"]).shape)


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_task_learns_by_every_loss_and_keeps_a_case_to_itself(name: str) -> None:
    made = task(name)
    network = new_network(made, cases().shape, 1)
    before = made.score(network, cases().batch())["psnr"].value
    step(made, network, 30)
    assert made.score(network, cases().batch())["psnr"].value > before
    for group in [one.name for one in groups_of(made, network)]:
        whole = case_losses(made, network, cases().batch(), group)
        alone = case_losses(made, network, cases().batch(np.array([2])), group)
        torch.testing.assert_close(whole[2:3], alone)


def test_an_encoder_of_the_perceptual_loss_stays_as_it_is_and_does_not_travel() -> None:
    made = task("perceptual")
    network = new_network(made, cases().shape, 1)
    before = {name: one.clone() for name, one in network.get_submodule("encoder").named_parameters()}
    step(made, network, 3)
    for name, one in network.get_submodule("encoder").named_parameters():
        assert torch.equal(one, before[name])
    layout = Layout.of(network)
    assert {name.partition(".")[0] for name in layout.frozen} == {"encoder"}
    assert not any(name.startswith("encoder.") for name in layout.shapes)


def test_a_perceptual_loss_is_that_of_pixels_and_of_each_resolution() -> None:
    """By hand: the encoder's ReLUs at full size, a half and a quarter."""
    made = loss("perceptual", network=ENCODER, pixels="l2", weight=0.5)
    torch.manual_seed(0)
    parts = nn.ModuleDict(made.parts((1, SIDE, SIDE)))
    body: Any = parts["encoder"].get_submodule("body")
    first, second, wanted = images(1), images(), loss("l2").of(images(1), images())
    for block in range(0, 5, 2):
        first, second = body[block](first), body[block](second)
        wanted = wanted + 0.5 * (first - second).square().flatten(1).mean(1)
        first, second = (body[block + 1](one) if block < 4 else one for one in (first, second))
    given = (images(1), images())
    torch.testing.assert_close(made.of_parts(*given, given, parts), wanted)
    assert made.of_parts(*given, given, parts).shape == (CASES,)


def test_of_complex_images_parts_see_the_magnitude() -> None:
    made = ImageLoss(Entry("perceptual", OPTIONS["perceptual"]), complex_images=True)
    network = nn.Module()
    turned, given = images(1, 2), images(0, 2)
    layout = cast(Any, type("L", (), {"image_shape": (2, SIDE, SIDE)}))
    torch.manual_seed(0)
    made.add_parts(network, layout)
    other = torch.stack([-turned[:, 1], turned[:, 0]], 1)  # by 90 degrees: the same magnitude
    pixels = ImageLoss(Entry("l1", {"total_variation": 0.01}), complex_images=True)
    features = [made.of(network, one, given) - pixels.of(network, one, given) for one in (turned, other)]
    torch.testing.assert_close(*features)


def test_critic_and_images_both_learn_each_by_its_own_loss() -> None:
    made = task("gan")
    network = new_network(made, cases().shape, 1)
    assert [one.name for one in groups_of(made, network)] == ["critic", "images"]
    before = {name: one.detach().clone() for name, one in trainable(network)}
    critic = case_losses(made, network, cases().batch(), "critic").mean()
    step(made, network, 20)
    moved = {name.partition(".")[0] for name, one in trainable(network) if not torch.equal(one, before[name])}
    assert moved == {"critic", "network"}
    held = {name: one for name, one in before.items() if not name.startswith("critic")}
    network.load_state_dict({**network.state_dict(), **held})
    assert case_losses(made, network, cases().batch(), "critic").mean() < critic, "it tells them better than before"


@pytest.mark.parametrize("form", ["relativistic", "hinge"])
def test_a_critics_loss_is_the_papers(form: str) -> None:
    """With a critic that says the mean grey: 0.75 of the truth, 0.25 of what is made."""
    made = loss("gan", form=form, weight=1.0)
    parts = nn.ModuleDict({"critic": nn.AdaptiveAvgPool2d(1)})
    shown = torch.full((1, 1, 8, 8), 0.25), torch.full((1, 1, 8, 8), 0.75)
    by_hand = {"relativistic": np.log1p(np.exp(-0.5)), "hinge": 0.25 + 1.25}[form]
    assert float(made.of_opposed(shown, parts)) == pytest.approx(by_hand)
    of_images = {"relativistic": np.log1p(np.exp(0.5)), "hinge": -0.25}[form]
    assert float(made.of_parts(*shown, shown, parts)) == pytest.approx(0.5 + of_images)


def test_privacy_for_a_patient_is_refused_where_a_critic_learns() -> None:
    from common.study.task_checks import check_task

    def checked(name: str) -> None:
        made = task(name)
        entry = Entry("postprocessed")
        check_task(made, entry, Entry("fedavg"), Entry("dpsgd", {"epsilon": 4, "clip_norm": 1.0}), Training(), 1)

    checked("l1")
    with pytest.raises(StudyError, match="several losses, critic, images"):
        checked("gan")


def test_a_loss_of_ones_own_is_of_images_and_of_one_number_a_case(tmp_path: Any) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "def by_case(images, truth, power=2.0):\n    return (images - truth).abs().pow(power).flatten(1).mean(1)\n"
        "def compared(images, truth):\n    each = (images - truth).abs().flatten(1).mean(1)\n"
        "    return each / each.sum()\n"
        "def of_all(images, truth):\n    return (images - truth).abs().mean()\n"
    )
    from common.study.plugins import ANYTHING, trusting

    with trusting(ANYTHING):
        made = ImageLoss(Entry(f"{own}:by_case"), complex_images=False)
        torch.testing.assert_close(made.of(nn.Module(), images(1), images()), loss("l2").of(images(1), images()))
        with pytest.raises(StudyError, match="one loss a case"):
            task_of_own(f"{own}:of_all").build_network(cases().shape)
        with pytest.raises(StudyError, match="depend on the other cases"):
            task_of_own(f"{own}:compared").build_network(cases().shape)
        with pytest.raises(StudyError, match="one loss a case"):
            ImageLoss(Entry(f"{own}:of_all"), complex_images=False).of(nn.Module(), images(1), images())


RECONSTRUCT = [name for name in TASKS.names() if issubclass(TASKS.load(name), Reconstruction)]
HAS_AN_ENCODER = {"generator"}


@pytest.mark.parametrize("name", RECONSTRUCT)
def test_every_task_that_reconstructs_has_the_parts_of_its_loss_or_refuses_it(name: str) -> None:
    operator: object = {"name": "downsampling", "factor": 2} if name == "superresolution" else "denoising"
    entry = Entry(name, {"operator": operator, "loss": {"name": "perceptual", "network": ENCODER}})
    if name in HAS_AN_ENCODER:
        with pytest.raises(StudyError, match="perceptual"):
            TASKS.build(entry).build_network(cases().shape)
        return
    network = TASKS.build(entry).build_network(cases().shape)
    assert all(not one.requires_grad for one in network.get_submodule("encoder").parameters())


def test_an_image_that_is_too_small_for_the_critic_is_refused() -> None:
    with pytest.raises(StudyError, match="at least 8 pixels"):
        loss("gan").parts((1, 6, 6))
