"""When an optimisation is stopped without the truth: planted curves, and a window worked out the slow way."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.reconstruction.early_stopping import Patience, Window, held_out, misfit
from common.reconstruction.operators.denoising import Identity
from common.reconstruction.operators.inpainting import Inpainting


def stopped_at(values: list[float], steps: int) -> tuple[int, int]:
    """Best step, and where it stopped."""
    rule = Patience(steps)
    for step, value in enumerate(values):
        rule.sees(value, step)
        if rule.is_over(step):
            return rule.best_step, step
    return rule.best_step, len(values)


def test_a_valley_is_found_and_left_after_so_many_steps() -> None:
    valley = [float((step - 30) ** 2) for step in range(200)]
    assert stopped_at(valley, 25) == (30, 55)


def test_a_small_hump_before_the_valley_is_crossed_by_more_patience_alone() -> None:
    humped = [5.0, 4.0, 4.5, 4.6, 4.5, 3.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert stopped_at(humped, 4) == (6, 10)
    assert stopped_at(humped, 2) == (1, 3)


def test_a_curve_that_falls_to_its_end_never_stops() -> None:
    assert stopped_at([1 / (1 + step) for step in range(50)], 3) == (49, 50)


def test_what_is_no_number_is_never_best() -> None:
    assert stopped_at([float("nan")] * 10 + [2.0, 3.0], 1) == (10, 11)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 3))
def test_a_window_knows_mean_and_variance_of_its_last_iterates(size: int, count: int, seed: int) -> None:
    images = torch.from_numpy(np.random.default_rng(seed).normal(2, 1, (count, 1, 2, 3)))
    window = Window(size)
    for image in images:
        window.add(image[None])
    last = images[-size:]
    mean = last.mean(0)
    assert window.full == (count >= size)
    torch.testing.assert_close(window.mean()[0], mean)
    slow = (last - mean).square().sum((1, 2, 3)).mean() / mean.square().sum()
    assert window.variance() == pytest.approx(float(slow), abs=1e-12)


def test_variance_has_no_unit() -> None:
    images = torch.randn(5, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double() + 1
    plain, scaled = Window(5), Window(5)
    for image in images:
        plain.add(image)
        scaled.add(1000 * image)
    assert scaled.variance() == pytest.approx(plain.variance())


def test_blank_iterates_do_not_pass_for_settled_ones() -> None:
    window = Window(3)
    for _ in range(3):
        window.add(torch.zeros(1, 1, 2, 2))
    assert window.variance() == float("inf")


def test_the_planted_moment_before_noise_is_found_by_variance() -> None:
    """Iterates near the image up to step 60, and move on to its noise from there: errors are least at 60."""
    draws = torch.Generator().manual_seed(1)
    image, noise = torch.randn(1, 1, 16, 16, generator=draws), torch.randn(1, 1, 16, 16, generator=draws)
    window, rule, errors = Window(10), Patience(40), []
    for step in range(200):
        iterate = image * (1 - np.exp(-step / 10)) + noise * max(0, step - 60) / 40
        window.add(iterate)
        errors.append(float((window.mean() - image).square().mean()))
        rule.sees(window.variance() if window.full else float("nan"), step)
        if rule.is_over(step):
            break
    assert 55 <= rule.best_step <= 66 and step < 120
    assert errors[rule.best_step] < 1.2 * min(errors)


def test_only_what_tells_anything_is_held_out() -> None:
    mask = torch.tensor([[[[1.0, 0, 1, 1], [0, 0, 1, 0]]]])
    linear = Inpainting().map((1, 2, 4), {"mask": mask[:, 0]})
    held = held_out(linear, linear.forward(torch.ones(1, 1, 2, 4)), 0.5, torch.Generator().manual_seed(0))
    assert held.sum() == 2 and not bool((held & (mask == 0)).any())


@pytest.mark.parametrize(("share", "count"), [(0.001, 1), (0.25, 2), (0.999, 7)])
def test_something_is_held_out_and_never_all(share: float, count: int) -> None:
    held = held_out(Identity((1, 2, 4)), torch.ones(1, 1, 2, 4), share, torch.Generator().manual_seed(0))
    assert held.sum() == count


def test_misfit_is_a_share_of_the_chosen_data_alone() -> None:
    measured, image = torch.tensor([[[[3.0, 4.0, 100.0]]]]), torch.tensor([[[[3.0, 3.0, 0.0]]]])
    chosen = torch.tensor([[[[True, True, False]]]])
    assert float(misfit(Identity((1, 1, 3)), image, measured, chosen)) == pytest.approx(1 / 25)
