"""What may be believed of a map: curves by hand, slow loops, a second library, and maps that must be found out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from skimage.feature import hog
from torch import Tensor, nn

from common.attribution.aim import Aim, Logits
from common.attribution.faithfulness.check import Check
from common.attribution.faithfulness.clean_model import CleanModel
from common.attribution.faithfulness.completeness import Completeness
from common.attribution.faithfulness.curves import areas, blanked, curves, ordered, shares_of
from common.attribution.faithfulness.deletion import Deletion
from common.attribution.faithfulness.evidence import interval, with_spread
from common.attribution.faithfulness.insertion import Insertion
from common.attribution.faithfulness.judging import CHECKS, judged, measured
from common.attribution.faithfulness.map_similarity import gradients, histograms, rank_correlation, structure
from common.attribution.faithfulness.mass import Mass, masses
from common.attribution.faithfulness.pointing import Pointing, hits, summed, widened
from common.attribution.faithfulness.randomisation import Randomisation
from common.attribution.faithfulness.resetting import cascade, in_order
from common.attribution.faithfulness.trial import Trial
from common.attribution.methods.edges import Edges
from common.attribution.methods.gradient_x_input import GradientXInput
from common.attribution.methods.integrated_gradients import IntegratedGradients
from common.data.cases import Shape
from common.errors import AttributionError
from common.learning.parameters import new_network, read
from common.learning.tasks.classification import Classification
from common.seeding import generator
from common.study.options import Entry
from common.sums.mean import Mean, merge

SIDE, CASES = 6, 12
BRIGHT = (slice(1, 3), slice(1, 3))
"""Where the planted network looks."""


@dataclass(frozen=True)
class Fixed:
    """A map that is given, whatever the network."""

    source: ClassVar[str] = "planted"
    signed: ClassVar[bool] = True
    made: Any

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return torch.as_tensor(self.made, dtype=torch.float32).expand(len(inputs), *inputs.shape[1:]).clone()


@dataclass(frozen=True)
class OfWrongClass:
    """The map of the other answer."""

    source: ClassVar[str] = "planted"
    signed: ClassVar[bool] = True

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        other = Logits(1 - aim.classes)  # type: ignore[attr-defined]
        return GradientXInput().explain(network, inputs, other, rng)


def looking_at(rows: slice, columns: slice, channels: int = 1) -> nn.Module:
    """Two logits: +- the sum of some pixels, by one layer of weights."""
    weights = torch.zeros(channels, SIDE, SIDE)
    weights[:, rows, columns] = 1.0
    layer = nn.Linear(channels * SIDE * SIDE, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([-weights.flatten(), weights.flatten()]))
    return nn.Sequential(nn.Flatten(), layer)


def a_trial(method: Any, **others: Any) -> Trial:
    """Noise with four brighter pixels, and a network that looks at these."""
    inputs = torch.from_numpy(generator(3, "inputs").uniform(0, 0.5, (CASES, 1, SIDE, SIDE)).astype(np.float32))
    inputs[:, :, *BRIGHT] += 0.5
    masks = torch.zeros(CASES, SIDE, SIDE, dtype=torch.bool)
    masks[:, *BRIGHT] = True
    settings: dict[str, Any] = {"masks": masks, "clean": looking_at(slice(4, 6), slice(4, 6))} | others
    return Trial(method, looking_at(*BRIGHT), inputs, Logits(torch.ones(CASES, dtype=torch.int64)), **settings)


def word(check: Check, trial: Trial) -> str:
    return check.found(check.measured(trial)).word


def test_deletion_and_insertion_of_a_linear_model_are_as_worked_out_by_hand() -> None:
    """Logit 3a + 2b + c of (1, 1, 1): without a 3, without b too 1, without all 0."""
    network = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 2.0, 1.0]]))
    inputs, aim = torch.ones(1, 3), Logits(torch.zeros(1, dtype=torch.int64))
    best, worst = torch.tensor([[0, 1, 2]]), torch.tensor([[2, 1, 0]])
    blank = blanked(inputs, "mean")
    lost = curves(network, inputs, blank, best, aim, 3, "deletion")
    assert lost.tolist() == [[6, 3, 1, 0]]
    assert curves(network, inputs, blank, best, aim, 3, "insertion").tolist() == [[0, 3, 5, 6]]
    assert curves(network, inputs, blank, worst, aim, 3, "deletion").tolist() == [[6, 5, 3, 0]]
    assert shares_of(3, 20).tolist() == [0, 1 / 3, 2 / 3, 1]
    assert areas(lost, shares_of(3, 3)) == pytest.approx([(4.5 + 2 + 0.5) / 3])


@given(st.integers(0, 1000), st.sampled_from(["deletion", "insertion"]), st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_curves_are_those_of_a_loop_over_cases_and_steps(seed: int, way: Any, steps: int) -> None:
    rng = generator(seed, "loop")
    inputs = torch.from_numpy(rng.normal(size=(3, 2, 3, 2)).astype(np.float32))
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    aim, blank = Logits(torch.tensor([0, 2, 1])), blanked(inputs, "mean")
    order = ordered(torch.from_numpy(rng.integers(0, 3, (3, 6)).astype(np.float32)), rng)
    found = curves(network, inputs, blank, order, aim, steps, way)
    for case in range(3):
        for point, count in enumerate(sorted({round(6 * k / min(steps, 6)) for k in range(min(steps, 6) + 1)})):
            shown = (inputs if way == "deletion" else blank)[case].clone()
            for place in order[case, :count].tolist():
                row, column = divmod(place, 2)
                shown[:, row, column] = (blank if way == "deletion" else inputs)[case, :, row, column]
            with torch.no_grad():
                assert found[case, point] == pytest.approx(
                    float(network(shown[None])[0, aim.classes[case]]), abs=1e-6
                )


def test_places_of_one_score_are_ordered_by_chance_and_all_others_by_score() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 2.0]]).repeat(200, 1)
    order = ordered(scores, np.random.default_rng(0))
    assert (order[:, 0] == 1).all() and (order[:, 3] == 0).all()
    assert 60 < int((order[:, 1] == 2).sum()) < 140


def test_a_blurred_image_keeps_its_mean_and_loses_its_contrast() -> None:
    image = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    blurred = blanked(image, "blur")
    assert blurred.mean() == pytest.approx(float(image.mean()), abs=0.02)
    assert blurred.std() < 0.2 * image.std()


def test_the_right_map_passes_and_a_map_of_the_wrong_class_fails_both_curves() -> None:
    right, wrong = a_trial(GradientXInput()), a_trial(OfWrongClass())
    for check in (Deletion("zero"), Insertion("zero")):
        assert word(check, right) == "passed"
        assert word(check, wrong) == "failed"
    lost = {name: mean.value for name, mean in Deletion("zero").measured(right).items()}
    assert lost["deletion"] <= lost["deletion_perfect"] < lost["deletion_random"]


def test_a_constant_map_is_no_better_than_chance_and_never_changes() -> None:
    """Nor does it point anywhere: it hits as often as its ties lie in the mask."""
    trial = a_trial(Fixed(1.0))
    for check in (Deletion("zero"), Insertion("zero"), Randomisation(), Pointing(), Mass(), CleanModel()):
        assert word(check, trial) == "failed", check.name
    assert hits(trial.maps, trial.masks).tolist() == pytest.approx([4 / 36] * CASES)


def test_a_map_of_edges_is_about_the_image_however_well_it_points() -> None:
    inputs = torch.zeros(CASES, 1, SIDE, SIDE)
    inputs[:, :, *BRIGHT] = 1.0
    masks = widened(inputs[:, 0] > 0, 1)
    trial = replace(a_trial(Edges()), inputs=inputs, masks=masks)
    assert word(Pointing(), trial) == word(Mass(), trial) == "passed"
    sums = measured(trial)
    assert sums["randomisation_rank"].value == 1
    assert judged(sums).findings["randomisation"].word == judged(sums).findings["clean"].word == "failed"
    assert not judged(sums).sane and "about the image, not the network" in judged(sums).words


def test_a_map_that_follows_the_network_passes_all_that_applies_to_it() -> None:
    judgement = judged(measured(a_trial(IntegratedGradients(points=4))))
    assert judgement.passed and judgement.sane, judgement.findings
    assert judgement.words == "passed all 7 tests that apply"


def test_what_does_not_apply_is_said_and_counts_for_nothing() -> None:
    judgement = judged(measured(a_trial(GradientXInput(), masks=None)))
    absent = {name for name, one in judgement.findings.items() if one.passed is None}
    assert absent == {"clean", "pointing", "mass", "completeness"}
    assert judgement.words == "passed all 3 tests that apply"
    assert judged({}).passed is None and judged({}).words == "not tested"


def test_hospitals_sums_add_up_to_those_of_all_cases() -> None:
    trial = a_trial(GradientXInput())
    halves = [
        replace(trial, inputs=trial.inputs[part], aim=trial.aim.take(part), masks=trial.masks[part])
        for part in (slice(0, 5), slice(5, CASES))
    ]
    checks = (Randomisation(), Pointing(), Mass(), CleanModel())
    assert merge([measured(half, checks) for half in halves]) == measured(trial, checks)


def test_few_cases_are_said_to_be_too_few() -> None:
    trial = a_trial(GradientXInput())
    few = replace(trial, inputs=trial.inputs[:4], aim=trial.aim.take(slice(4)), masks=trial.masks[:4])
    assert "4 cases are too few" in Deletion().found(Deletion().measured(few)).sentence


def test_an_interval_is_the_textbooks() -> None:
    values = np.array([1.0, 2.0, 4.0, 5.0, 8.0])
    reach = 1.959964 * values.std(ddof=1) / np.sqrt(5)
    assert interval(with_spread("x", values), "x") == pytest.approx((4 - reach, 4 + reach))


@given(st.integers(0, 500))
@settings(max_examples=20, deadline=None)
def test_ranks_are_compared_as_by_scipy(seed: int) -> None:
    one, other = (generator(seed, name).integers(0, 5, (2, 9)).astype(float) for name in "ab")
    if one.std(1).min() > 0 and other.std(1).min() > 0:
        wanted = [spearmanr(mine, theirs).statistic for mine, theirs in zip(one, other, strict=True)]
        np.testing.assert_allclose(rank_correlation(one, other), wanted, atol=1e-12)


def test_maps_without_contrast_are_alike_and_unlike_all_others() -> None:
    flat, bent = np.full((1, 6), 0.1), np.arange(6.0)[None]
    assert rank_correlation(flat, flat) == 1 and rank_correlation(flat, bent) == 0


@pytest.mark.parametrize("shape", [(16, 16), (28, 28), (17, 23)])
def test_histograms_of_gradients_are_scikit_images(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).normal(size=shape)
    cells = (shape[0] // 4, shape[1] // 4)
    inside = image[: 4 * cells[0], : 4 * cells[1]]
    if inside.shape == shape:
        wanted = hog(image, 9, cells, (1, 1), block_norm="L2")
        np.testing.assert_allclose(histograms(image), wanted, atol=1e-6)
    assert gradients(image[None], image[None]) == pytest.approx(1)


def test_structure_is_one_of_a_map_and_itself_scaled_and_nan_where_no_window_fits() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 9, 8))
    assert structure(maps, 3 * maps) == pytest.approx([1, 1])
    assert np.isnan(structure(maps[:, :2], maps[:, :2])).all()
    assert structure(maps, -maps).max() < 0.3


def test_mass_counts_what_speaks_for_the_answer_only() -> None:
    maps = torch.tensor([[[[3.0, -9.0], [1.0, 0.0]]], [[[-1.0, -1.0], [-1.0, -1.0]]]])
    masks = torch.tensor([[[True, True], [False, False]]]).repeat(2, 1, 1)
    assert masses(maps, masks).tolist() == [0.75, 0.0]


def test_masks_that_are_empty_or_everything_tell_nothing() -> None:
    maps = torch.rand(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    masks = torch.stack([torch.zeros(3, 3), torch.ones(3, 3)]).bool()
    assert np.isnan(hits(maps, masks)).all() and np.isnan(masses(maps, masks)).all()


def test_a_hit_beside_the_truth_counts_in_the_tolerant_figure_alone() -> None:
    maps = torch.zeros(CASES, 1, SIDE, SIDE)
    maps[:, :, 3, 3] = 1
    sums = Pointing(1).measured(a_trial(Fixed(maps[0])))
    assert (sums["pointing_hit"].value, sums["pointing_near"].value) == (0, 1)


def test_one_place_of_noise_outweighs_no_square_of_which_all_speaks() -> None:
    """9 beside four times 3: by single places the noise is highest, by squares of 3 x 3 the four are, 12 to 9."""
    maps = torch.zeros(1, 1, SIDE, SIDE)
    maps[:, :, *BRIGHT], maps[0, 0, 5, 5] = 3, 9
    trial = a_trial(Fixed(maps[0]), clean=looking_at(slice(4, 6), slice(4, 6)))
    sums = Pointing().measured(trial) | CleanModel().measured(trial)
    assert sums["pointing_hit"].value == sums["clean_hit"].value == 0
    assert sums["pointing_window"].value == sums["clean_window"].value == 1
    assert Pointing(window_px=1).measured(trial)["pointing_window"].value == 0
    cube = summed(torch.ones(1, 2, 4, 4, 4), 2)
    assert cube.shape == (1, 1, 4, 4, 4) and cube[0, 0, 0, 0, 0] == 0.25 and cube[0, 0, 3, 3, 3] == 2


def test_a_volume_is_widened_along_three_axes() -> None:
    masks = torch.zeros(1, 5, 5, 5, dtype=torch.bool)
    masks[0, 2, 2, 2] = True
    assert widened(masks, 1).sum() == 27


def test_completeness_is_of_methods_that_say_so() -> None:
    assert word(Completeness(), a_trial(IntegratedGradients(points=2))) == "passed"
    assert word(Completeness(), a_trial(GradientXInput())) == "not applicable"


def test_layers_forget_from_the_last_to_the_first_and_the_network_is_left_alone() -> None:
    task = Classification(Entry("groupnorm_cnn", {"channels": 4}))
    network = new_network(task, Shape((1, 8, 8), 2), 5)
    before, inputs = read(network), torch.zeros(2, 1, 8, 8)
    kept, steps = dict(network.state_dict()), []
    for name, forgot in cascade(network, inputs, 1):
        unlike = {key for key, value in forgot.state_dict().items() if not torch.equal(value, kept[key])}
        steps.append((name, unlike))
    assert [name for name, _ in steps] == ["body.7", "body.4.0", "body.2.0", "body.0.0"]
    assert steps[0][1] == {"body.7.weight", "body.7.bias"}
    assert steps[1][1] == steps[0][1] | {"body.4.0.weight"}
    assert read(network).tobytes() == before.tobytes()
    first, again = (list(cascade(network, inputs, 1))[-1][1] for _ in range(2))
    assert read(first).tobytes() == read(again).tobytes() != before.tobytes()


class Parts(nn.Module):
    """Layers that are used in another order than they are made, one never, and a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.unused, self.first = (nn.Linear(3, 3) for _ in range(3))
        self.attention = nn.MultiheadAttention(3, 1, batch_first=True)
        self.shift = nn.Parameter(torch.ones(3, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)[:, None] + self.shift
        answer: Tensor = self.last(self.attention(hidden, hidden, hidden)[0].mean(1))
        return answer


def test_layers_are_ordered_as_they_are_asked_and_not_as_they_were_made() -> None:
    names = in_order(Parts(), torch.zeros(2, 3))
    assert names[:2] == ["", "first"] and names[-1] == "last" and "unused" not in names
    assert {"attention", "attention.out_proj"} <= set(names)
    network = Parts()
    forgot = [dict(copy.state_dict()) for _, copy in cascade(network, torch.zeros(2, 3), 0)][-1]
    assert not torch.equal(forgot["shift"], network.shift) or network.shift.std() == 0
    assert not torch.equal(forgot["attention.in_proj_weight"], network.attention.in_proj_weight)


def test_a_map_that_is_not_finite_is_refused() -> None:
    with pytest.raises(AttributionError, match="not finite"):
        _ = a_trial(Fixed(float("nan"))).maps


def test_every_check_says_what_it_asks_and_where_it_is_from() -> None:
    for check in CHECKS:
        assert check.question.endswith("?") and len(check.source) > 20
        names = check.measured(a_trial(IntegratedGradients(points=2)))
        assert names and all(name.startswith(check.name) for name in names)
        assert all(isinstance(mean, Mean) for mean in names.values())
