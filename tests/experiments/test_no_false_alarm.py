"""What has nothing to do with the patients raises no alarm in audits of many attempts, and what has does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common.study.audit_settings import Audit
from common.study.study import parse
from experiments.attack import Reconstruction
from experiments.audit.questions import _rebuilt_cases
from experiments.audit.questions._chance_of_similarity import Crowd, Similarities, chance_of_company
from experiments.audit.questions._rebuilt_cases import scored
from experiments.audit.questions.reconstruction import _light
from experiments.audit.records import CHANCE, Rebuilt
from experiments.evidence.ground_truth import Truth

Inputs = NDArray[np.float32]
STUDY = parse('title = "No alarm"\nsource = { name = "phantom" }\ntask = "segmentation"\nrounds = 1\nseed = 1')
ATTEMPTS, AUDITS, ALLOWED = 12, 100, 11
SITES, PATIENTS, BEHIND = ("a", "b", "c"), 20, 12


def records(rng: np.random.Generator, count: int) -> Inputs:
    """As of heart disease: some numbers that go together, some yes or no."""
    hidden = rng.normal(size=(count, 3))
    numbers = hidden @ rng.normal(size=(3, 6)) + 0.7 * rng.normal(size=(count, 6))
    return np.concatenate([numbers, (rng.random((count, 5)) < 0.3) * 2.0 - 1], 1).astype(np.float32)


def pictures(rng: np.random.Generator, count: int) -> Inputs:
    """Smooth images that have an outline in common."""
    shared = gaussian_filter(rng.normal(size=(12, 12)), 2.5)
    own = gaussian_filter(rng.normal(size=(count, 12, 12)), (0, 1.2, 1.2))
    return (3 * shared + own)[:, None].astype(np.float32)


KINDS: dict[str, Callable[[np.random.Generator, int], Inputs]] = {"records": records, "pictures": pictures}


def everybody(kind: str, rng: np.random.Generator) -> Truth:
    inputs = KINDS[kind](rng, len(SITES) * PATIENTS)
    names = tuple(f"{site}{number}" for site in SITES for number in range(PATIENTS))
    sites = tuple(site for site in SITES for _ in range(PATIENTS))
    return Truth(inputs, np.zeros(len(inputs), np.int64), names, sites)


def taken(people: Truth, indices: Sequence[int]) -> Truth:
    return Truth(
        people.inputs[list(indices)],
        people.targets[list(indices)],
        tuple(people.patients[index] for index in indices),
        tuple(people.sites[index] for index in indices),
    )


def uninformative(people: Truth, indices: Sequence[int], rng: np.random.Generator, count: int) -> Inputs:
    """What attacks come up with where nothing is told: noise, blurs of the crowd, tiles, the like of other people."""
    shape = people.inputs.shape[1:]
    noise = rng.normal(size=(count, *shape)) * people.inputs.std() + people.inputs.mean()
    mean = people.inputs.mean(0)
    others = np.setdiff1d(np.arange(len(people)), list(indices))
    three = np.stack([rng.choice(len(people), 3, replace=False) for _ in range(count)])
    made = [
        noise,
        mean + 0.3 * noise,
        np.repeat(noise[..., :3], -(-shape[-1] // 3), axis=-1)[..., : shape[-1]],
        people.inputs[rng.choice(others, count)] + 0.3 * people.inputs.std() * rng.normal(size=(count, *shape)),
        people.inputs[three].mean(1) + 0.2 * noise,
    ]
    return np.asarray(made[rng.integers(len(made))], np.float32)


def judged(people: Truth, indices: Sequence[int], inputs: Inputs, sites: tuple[str, ...]) -> list[Rebuilt]:
    truth = taken(people, indices)
    with mock.patch.object(_rebuilt_cases, "truth_of", return_value=truth):
        return list(scored(STUDY, [Reconstruction(1, sites, inputs)], people, False, ATTEMPTS)[1])


def behind(site: str, rng: np.random.Generator, count: int) -> list[int]:
    first = SITES.index(site) * PATIENTS
    return sorted(int(first + one) for one in rng.permutation(BEHIND)[:count])


def attempts(people: Truth, rng: np.random.Generator) -> Iterator[tuple[Reconstruction, list[int]]]:
    """Of one audit of noise: at one patient, at batches and at sums of all hospitals."""
    for attempt in range(ATTEMPTS):
        sites = SITES if attempt % 4 == 3 else (SITES[attempt % 3],)
        indices = [one for site in sites for one in behind(site, rng, (1, 4, 12, 12)[attempt % 4])]
        yield Reconstruction(1, sites, uninformative(people, indices, rng, min(4, len(indices)))), indices


def alarmed(kind: str, seed: int) -> bool:
    """Whether any chance of an audit is one that a light may rest on."""
    rng = np.random.default_rng(seed)
    people = everybody(kind, rng)
    crowd = Crowd.of(people, seed)
    for one, indices in attempts(people, rng):
        looked = Similarities.of(one, taken(people, indices), people, crowd, ATTEMPTS)
        nearest = looked.to_truth.argmax(1)
        chances = [looked.chance(case, int(true)) for case, true in enumerate(nearest)]
        if min(*chances, *looked.in_company().values(), 1.0) < CHANCE:
            return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_hundred_audits_of_noise_hardly_any_could_be_amber(kind: str) -> None:
    assert sum(alarmed(kind, seed) for seed in range(AUDITS)) <= ALLOWED


@pytest.mark.parametrize("kind", KINDS)
def test_an_audit_of_noise_is_green(kind: str) -> None:
    rng = np.random.default_rng(7)
    people = everybody(kind, rng)
    found = [judged(people, indices, one.inputs, one.sites) for one, indices in attempts(people, rng)]
    assert {_light(case, Audit()) for cases in found for case in cases} == {"green"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 4, 12])
def test_a_true_find_is_red(kind: str, count: int) -> None:
    rng = np.random.default_rng(1)
    people = everybody(kind, rng)
    indices = behind("b", rng, count)
    exact = people.inputs[indices] + 1e-3 * people.inputs.std() * rng.normal(size=people.inputs[indices].shape)
    found = judged(people, indices, exact.astype(np.float32), ("b",))
    assert {_light(one, Audit()) for one in found} == {"red"}


def test_a_picture_that_came_back_with_noise_is_found_and_that_of_another_hospital_is_not() -> None:
    rng = np.random.default_rng(2)
    people = everybody("pictures", rng)
    indices = behind("a", rng, 1)
    near = people.inputs[indices] + 0.1 * people.inputs.std() * rng.normal(size=people.inputs[indices].shape)
    assert judged(people, indices, near.astype(np.float32), ("a",))[0].identifies
    assert not judged(people, indices, people.inputs[[45]], ("a",))[0].tells


def test_a_chance_is_counted_over_all_that_was_tried() -> None:
    rng = np.random.default_rng(5)
    people = everybody("records", rng)
    crowd, indices = Crowd.of(people, 0), behind("a", rng, 1)
    near = people.inputs[indices] + 0.05 * rng.normal(size=people.inputs[indices].shape).astype(np.float32)
    of_one, of_ten = (
        Similarities.of(Reconstruction(1, ("a",), near), taken(people, indices), people, crowd, attempts).chance(0, 0)
        for attempts in (1, 10)
    )
    assert 0 < of_one < 0.1 and of_ten == pytest.approx(10 * of_one)


def test_one_person_under_two_names_is_found_though_the_other_name_is_as_near() -> None:
    rng = np.random.default_rng(3)
    people = everybody("records", rng)
    people.inputs[40] = people.inputs[0]
    (found,) = judged(people, [0], people.inputs[:1], ("a",))
    assert found.chance < 0.05


def test_the_chance_of_company_is_that_of_a_draw_of_lots() -> None:
    """Against every way in which 3 of 5 may be behind."""
    scores = [5.0, 4.0, 3.0, 2.0, 1.0]
    at_least_two = sum(0 in chosen and 1 in chosen for chosen in combinations(range(5), 3))
    assert chance_of_company(scores[:2] + scores[3:4], [3.0, 1.0]) == at_least_two / 10
    assert chance_of_company(scores, []) == 1


def test_the_chance_of_nearness_holds_for_points_in_a_cube() -> None:
    """Of random points and a random place among them: a ratio is as rare as its chance says, or rarer."""
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(120, 12)).astype(np.float32)
    people = Truth(inputs, np.zeros(120, np.int64), tuple(map(str, range(120))), ("a",) * 120)
    crowd = Crowd.of(people, 0)
    standard = inputs - inputs.mean(1, keepdims=True)
    standard = standard / np.linalg.norm(standard, axis=1, keepdims=True)
    chances = []
    for _ in range(2000):
        place = rng.normal(size=12)
        place = (place - place.mean()) / np.linalg.norm(place - place.mean())
        nearest = np.sort(1 - standard @ place)[:2]
        chances.append(crowd.chance(float(np.sqrt(nearest[0] / nearest[1]))))
    for level in (0.2, 0.05, 0.01):
        assert np.mean(np.array(chances) <= level) <= level + 3 * np.sqrt(level / 2000) + 0.02
