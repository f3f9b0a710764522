"""Every task and every network of ours passes the tests that anybody's inherits. A new one needs tiny data here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from client.evaluation import evaluate
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.abilities import can
from common.learning.client_work import Training
from common.learning.parameters import new_network, read
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.packing import Layout
from common.study.catalogue import NETWORKS, OPERATORS, TASKS
from common.study.options import Entry
from wardround.testing import NetworkTests, TaskTests
from wardround.testing.makers import (
    images_with_outlines,
    pairs_of_images,
    rows_with_classes,
    rows_with_numbers,
    rows_with_times,
)

Made = tuple[Any, Cases]


def classification_cases() -> Made:
    return TASKS.build(Entry("classification", {"network": {"name": "mlp", "hidden": [32]}})), rows_with_classes()


def segmentation_cases() -> Made:
    options = {"network": {"name": "unet", "channels": 4, "depth": 2}}
    return TASKS.build(Entry("segmentation", options)), images_with_outlines()


def registration_cases() -> Made:
    options = {"network": {"name": "voxelmorph", "channels": 8, "depth": 2}, "similarity": "difference"}
    return TASKS.build(Entry("registration", {**options, "smoothness": 0.001})), pairs_of_images()


def regression_cases() -> Made:
    options = {"network": {"name": "mlp", "hidden": [32]}, "center": 48, "spread": 9}
    return TASKS.build(Entry("regression", options)), rows_with_numbers()


def survival_cases() -> Made:
    options = {"network": {"name": "mlp", "hidden": [32]}, "cuts": [1.5, 2.5, 3.5], "scores": ["brier", "auc"]}
    return TASKS.build(Entry("survival", options)), rows_with_times()


def cox_cases() -> Made:
    return TASKS.build(Entry("cox", {"network": {"name": "mlp", "hidden": [32]}})), rows_with_times()


def deep_scm_cases() -> Made:
    """Twelve images of a square of known side and grey, which the side causes."""
    rng, images = np.random.default_rng(0), np.zeros((12, 1, 8, 8), np.float32)
    sides, causes = rng.integers(2, 6, 12), []
    for image, side in zip(images, sides, strict=True):
        grey = np.clip(0.3 + side / 12 + 0.1 * rng.normal(), 0.3, 1)
        image[0, 1 : 1 + side, 1 : 1 + side] = grey
        causes.append((side, 255 * grey))
    cause_options = [{"name": "side", "center": 4, "spread": 1.5}, {"name": "grey", "center": 150, "spread": 50}]
    options = {
        "graph": "side -> grey; side & grey -> image",
        "causes": [cause_options[0], {**cause_options[1], "measure": "stroke_intensity"}],
        "network": {"name": "conditional_ladder", "channels": [8], "latents": [2], "top": 4},
    }
    cases = Cases.of(images, np.array(causes, np.float32), [f"p{index % 6}" for index in range(12)])
    return TASKS.build(Entry("deep_scm", options)), cases


def unlabelled_cases() -> Cases:
    """Twelve squares of different places and greys."""
    rng, images = np.random.default_rng(0), np.zeros((12, 1, 8, 8), np.float32)
    for image in images:
        top, left = rng.integers(0, 4, 2)
        image[0, top : top + 4, left : left + 4] = rng.uniform(0.5, 1)
    return Cases.of(images, np.zeros(12, np.float32), [f"p{index % 6}" for index in range(12)])


MILD = {"name": "grey", "smallest_crop": 0.9, "contrast": 0.05, "brightness": 0.05}
ENCODED = {"network": {"name": "groupnorm_cnn", "channels": 8}, "projection": 16, "augmentation": MILD}


def simclr_cases() -> Made:
    return TASKS.build(Entry("simclr", ENCODED)), unlabelled_cases()


def dino_cases() -> Made:
    return TASKS.build(
        Entry(
            "dino",
            {**ENCODED, "prototypes": 8, "momentum": 0.9, "centre_momentum": 0.99, "teacher_temperature": 0.03},
        )
    ), unlabelled_cases()


def byol_cases() -> Made:
    return TASKS.build(Entry("byol", {**ENCODED, "momentum": 0.95})), unlabelled_cases()


def halves() -> Cases:
    """Twelve images, of which one half is bright: any few patches tell all others."""
    rng, images = np.random.default_rng(0), np.zeros((12, 1, 8, 8), np.float32)
    for index, image in enumerate(images[:, 0]):
        image[...] = rng.uniform(-1, -0.8)
        image[(np.s_[:4], np.s_[4:], np.s_[:, :4], np.s_[:, 4:])[index % 4]] = rng.uniform(0.8, 1)
    return Cases.of(images, np.zeros(12, np.float32), [f"p{index % 6}" for index in range(12)])


def mae_cases() -> Made:
    options = {"network": {"name": "groupnorm_cnn", "channels": 8}, "masked": 0.5, "patch": 2, "normalised": False}
    return TASKS.build(Entry("mae", options)), halves()


def ijepa_cases() -> Made:
    network = {"name": "vit", "width": 32, "depth": 1, "heads": 2, "patch": 2}
    options = {"network": network, "blocks": 2, "predictor_depth": 1, "momentum": 0.999}
    return TASKS.build(Entry("ijepa", options)), halves()


def planted_cases() -> Made:
    """Mild noise, in which every blob is plain to see."""
    noise = np.random.default_rng(0).normal(size=(12, 1, 8, 8)).astype(np.float32)
    network = {"name": "unet", "channels": 8, "depth": 2}
    size = {"least_radius": 0.25, "least_contrast": 9.0, "largest_contrast": 10.0}
    cases = Cases.of(noise, np.zeros(12, np.float32), [f"p{index % 6}" for index in range(12)])
    return TASKS.build(Entry("planted", {"network": network, "share": 1.0, **size})), cases


def triplet_cases() -> Made:
    mild = {"name": "grey", "smallest_crop": 0.9, "contrast": 0.05, "brightness": 0.05}
    options = {"network": {"name": "groupnorm_cnn", "channels": 8}, "projection": 16, "augmentation": mild}
    return TASKS.build(Entry("triplet", options)), unlabelled_cases()


def noisy_squares(task: str, **options: Any) -> Made:
    """To be seen as they are."""
    squares = unlabelled_cases()
    noise = np.random.default_rng(1).normal(size=squares.inputs.shape)
    noisy = (squares.inputs + 0.3 * noise).astype(np.float32)
    built = TASKS.build(Entry(task, {"operator": "denoising", **options}))
    return built, squares.with_columns(inputs=noisy, targets=squares.inputs)


def postprocessed_cases() -> Made:
    return noisy_squares("postprocessed", network={"name": "unet", "channels": 8, "depth": 2})


def direct_cases() -> Made:
    return noisy_squares("direct", network={"name": "unet", "channels": 8, "depth": 2})


def denoiser_cases() -> Made:
    return noisy_squares("denoiser", network={"name": "unet", "channels": 8, "depth": 3}, least_level=0.1)


def unrolled_cases() -> Made:
    """Squares under a phase, of which every other line of k-space is measured."""
    squares, operator = unlabelled_cases(), CartesianMri(acceleration=2.0)
    layout, phase = Layout.of(operator, (2, 8, 8)), np.linspace(0, 2, 8)
    truth = torch.from_numpy(squares.inputs * np.stack([np.cos(phase), np.sin(phase)])[:, None]).float()
    masks = np.stack([operator.draw(np.random.default_rng(case), (2, 8, 8))["mask"] for case in range(len(truth))])
    parameters = {"mask": torch.from_numpy(masks)}
    inputs = layout.pack(operator.map((2, 8, 8), parameters).forward(truth), parameters)
    options = {
        "operator": "cartesian_mri",
        "network": {"name": "ffdnet", "channels": 16, "depth": 3},
        "iterations": 2,
    }
    return TASKS.build(Entry("unrolled", options)), squares.with_columns(inputs=inputs.numpy(), targets=truth.numpy())


def generator_cases() -> Made:
    """Noisy squares, to be found among those that are learned."""
    _, noisy = postprocessed_cases()
    search = {"latent_steps": 10, "adaptation_steps": 5}
    options = {"operator": "denoising", "width": 8, "levels": 1, "latents": 2, "deviation": 0.2, **search}
    return TASKS.build(Entry("generator", options)), noisy


def superresolution_cases() -> Made:
    """Squares, whose edges lie where large pixels do not."""
    squares = unlabelled_cases()
    entry = {"name": "downsampling", "factor": 2, "kernel": "gaussian", "sd_pixels": 0.8}
    operator = OPERATORS.build(Entry("downsampling", {key: one for key, one in entry.items() if key != "name"}))
    layout = Layout.of(operator, (1, 8, 8))
    drawn = operator.draw(np.random.default_rng(0), (1, 8, 8))
    parameters = {name: torch.from_numpy(np.stack([one] * len(squares))) for name, one in drawn.items()}
    truth = torch.from_numpy(np.asarray(squares.inputs))
    small = layout.pack(operator.map((1, 8, 8), parameters).forward(truth), parameters)
    made = squares.with_columns(inputs=small.numpy(), targets=squares.inputs)
    return TASKS.build(Entry("superresolution", {"operator": entry, "loss": "l1", "shows_blur": True})), made


def adversarial_cases() -> Made:
    """Sure to be told apart, though a value is moved by a twentieth of its standard deviation."""
    inner = {"name": "classification", "network": {"name": "mlp", "hidden": [32]}}
    options = {"task": inner, "size": 0.05, "attack": {"name": "pgd", "steps": 3}}
    return TASKS.build(Entry("adversarial", options)), rows_with_classes()


MAKERS = {
    "adversarial": adversarial_cases,
    "superresolution": superresolution_cases,
    "generator": generator_cases,
    "postprocessed": postprocessed_cases,
    "direct": direct_cases,
    "unrolled": unrolled_cases,
    "denoiser": denoiser_cases,
    "mae": mae_cases,
    "ijepa": ijepa_cases,
    "planted": planted_cases,
    "simclr": simclr_cases,
    "byol": byol_cases,
    "triplet": triplet_cases,
    "dino": dino_cases,
    "classification": classification_cases,
    "segmentation": segmentation_cases,
    "registration": registration_cases,
    "regression": regression_cases,
    "survival": survival_cases,
    "cox": cox_cases,
    "deep_scm": deep_scm_cases,
}


SLOW = {"ijepa": 300, "planted": 300, "segmentation": 150}
"""Steps of those that take longest to learn four cases by heart."""
UNHURRIED = {"ijepa", "planted", "denoiser", "superresolution"}
QUICK = replace(TaskTests.training, steps=110)
"""Enough for tasks of ours with their cases here."""
PATIENT = Training(steps=220, batch_size="full", learning_rate=0.006, optimiser="adam")
"""A transformer does not bear the rate that convolutions learn fastest with; edges take more steps than areas."""


class TestEveryTask(TaskTests):
    @pytest.fixture(params=TASKS.names())
    def made(self, request: pytest.FixtureRequest) -> Made:
        maker = MAKERS.get(request.param)
        assert maker is not None, f"task {request.param!r} has no tiny cases: add them to MAKERS of this file"
        self.training = PATIENT if request.param in UNHURRIED else QUICK
        if request.param in SLOW:
            self.training = replace(self.training, steps=SLOW[request.param])
        # A teacher goes on while its student learns, and noise is never the same twice.
        unending = request.param == "denoiser" or hasattr(TASKS.load(request.param), "companion")
        self.loss_left = TaskTests.loss_left if unending else 0.2
        return maker()

    def test_every_loss_is_scored_too(self, made: Made) -> None:
        task, cases = made
        assert "loss" in evaluate(task, new_network(task, cases.shape, 1), cases)

    def test_changes_of_contrast_follow_from_the_generator_alone(self, made: Made) -> None:
        task, cases = made
        if not isinstance(getattr(task, "augmentation", None), str):
            pytest.skip("it has no changes of contrast")
        self.test_augmentation_depends_on_its_generator_alone((type(task)(augmentation="contrast"), cases))

    def test_a_loss_of_believed_labels_is_the_loss_where_they_are_certain(self, made: Made) -> None:
        task, cases = made
        if not can(task, "soft_loss"):
            pytest.skip("it has no soft loss")
        network, batch, space = new_network(task, cases.shape, 1), cases.batch(), task.label_space(cases.shape)
        certain = torch.zeros(len(batch), 0)
        if space[0]:
            certain = one_hot(batch.targets, space[0]).movedim(-1, 1).float()
        assert certain.shape == (len(batch), *space)
        torch.testing.assert_close(task.soft_loss(network, batch.inputs, certain), task.loss(network, batch))
        if can(task, "label_evidence"):
            weights = torch.tensor([0.5, 2.0, 1.0])
            weighed = task.soft_loss(network, batch.inputs, certain, weights)
            torch.testing.assert_close(weighed, weights[batch.targets] * task.loss(network, batch))

    def test_predictions_have_the_shape_of_what_is_predicted(self, made: Made) -> None:
        task, cases = made
        predicted = task.predict(new_network(task, cases.shape, 1), cases.batch().inputs)
        shapes = {"likelihood": (len(cases), 3), "c_index": (len(cases),), "explained": predicted.shape[:2]}
        assert predicted.shape == shapes.get(task.headline, cases.targets.shape)


SHAPES = {
    "logistic": Shape((13,), 2),
    "mlp": Shape((13,), 3),
    "mcmahan_2nn": Shape((1, 28, 28), 10),
    "mcmahan_cnn": Shape((1, 28, 28), 10),
    "groupnorm_cnn": Shape((1, 64, 64), 2),
    "vit": Shape((1, 28, 28), 10),
    "unet": Shape((1, 32, 32), 4),
    "auto": Shape((1, 16, 24), 3),
    "two_pathway": Shape((1, 32, 32), 4),
    "dilated": Shape((1, 32, 32), 4),
    "ffdnet": Shape((1, 32, 32), 4),
    "refinement": Shape((1, 32, 32), 4),
    "voxelmorph": Shape((2, 32, 24), 2),
    "affine_pair": Shape((2, 32, 24), 2),
    "conditional_ladder": Shape((3, 16, 16), 1),
    "edsr": Shape((1, 30, 33), 4),
}
PUBLISHED_PARAMETERS = {"mcmahan_2nn": 199_210, "mcmahan_cnn": 1_663_370, "logistic": 28}


TRAINABLE = [name for name in NETWORKS.names() if not hasattr(NETWORKS.load(name), "has_weights")]


class TestEveryNetwork(NetworkTests):
    @pytest.fixture(params=TRAINABLE)
    def made(self, request: pytest.FixtureRequest) -> tuple[Any, Shape]:
        name = request.param
        assert name in SHAPES, f"network {name!r} has no shape to be tested with: add one to SHAPES"
        return NETWORKS.build(Entry(name)), SHAPES[name]


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_a_published_network_has_as_many_parameters_as_were_published(name: str) -> None:
    assert read(NETWORKS.build(Entry(name)).build(SHAPES[name])).size == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize(("name", "weights"), [("groupnorm_cnn", 278_000), ("mcmahan_cnn", 2_360_000)])
def test_a_network_of_images_classifies_volumes_too(name: str, weights: int) -> None:
    torch.manual_seed(0)
    network = NETWORKS.build(Entry(name)).build(Shape((1, 16, 16, 16), 3))
    assert network(torch.randn(2, 1, 16, 16, 16)).shape == (2, 3)
    assert read(network).size == pytest.approx(weights, rel=0.01)


def test_the_small_cnn_has_about_a_hundred_thousand_parameters() -> None:
    network = NETWORKS.build(Entry("groupnorm_cnn")).build(SHAPES["groupnorm_cnn"])
    assert 80_000 < read(network).size < 120_000


@pytest.mark.parametrize(
    ("name", "shape"),
    [("unet", Shape((1, 30, 33), 2)), ("unet", Shape((5,), 2)), ("mcmahan_cnn", Shape((5,), 2))],
)
def test_a_shape_that_does_not_fit_is_refused(name: str, shape: Shape) -> None:
    with pytest.raises(StudyError):
        NETWORKS.build(Entry(name)).build(shape)


def test_a_network_for_images_is_refused_where_outlines_are_asked_for() -> None:
    task = TASKS.build(Entry("segmentation", {"network": "groupnorm_cnn"}))
    with pytest.raises(StudyError):
        task.build_network(Shape((1, 32, 32), 2))
