from __future__ import annotations

import numpy as np
import pytest

from client.sources._phantom_acquisition import Scan
from client.sources._phantom_anatomy import draw_anatomy
from client.sources._phantom_atlas import CSF, GREY, WHITE, atlas
from client.sources._phantom_scanners import SCANNERS, Scanner
from client.sources._phantom_signal import TISSUES
from client.sources.phantom import (
    FIELD_OF_VIEW_MM,
    HIGHEST_SLICE_MM,
    LOWEST_SLICE_MM,
    Phantom,
    majority,
    normalised,
    tissues,
)
from common.data.cases import Cases
from common.errors import StudyError, UnknownNameError
from common.seeding import generator

SMALL = Phantom(patients=(2, 1), slices_per_patient=2)


@pytest.fixture(scope="module")
def hospitals() -> dict[str, Cases]:
    source = Phantom(patients=(3,))
    return {site: source.cases(site, seed=0) for site in source.sites()}


def mean_of(cases: Cases, label: int) -> float:
    return float(cases.inputs[:, 0][cases.targets == label].mean())


def test_case_numbers_are_as_asked() -> None:
    source = Phantom(hospitals=7, patients=(3, 1), slices_per_patient=2, size=16)
    sizes = [len(source.cases(site, 0)) for site in source.sites()]
    assert sizes == [6, 2, 6, 2, 6, 2, 6]


def test_by_default_there_are_five_unbalanced_hospitals() -> None:
    source = Phantom()
    assert source.sites() == tuple(SCANNERS)
    assert len(set(source.patients)) == len(source.patients) == 5


def test_columns_have_the_promised_shapes_and_names() -> None:
    cases = SMALL.cases("ashford-general", 0)
    assert cases.inputs.shape == (4, 1, 64, 64) and cases.inputs.dtype == np.float32
    assert cases.targets.shape == (4, 64, 64)
    assert cases.patients.tolist() == ["ashford-general-0000"] * 2 + ["ashford-general-0001"] * 2
    assert cases.spacing_mm == (220 / 64, 220 / 64)
    assert cases.shape.classes == 5


def test_every_patient_has_every_tissue(hospitals: dict[str, Cases]) -> None:
    for cases in hospitals.values():
        for patient in np.unique(cases.patients):
            assert set(np.unique(cases.targets[cases.patients == patient])) == set(range(5))


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again = (SMALL.cases("elmstow-clinic", 7) for _ in range(2))
    assert first.inputs.tobytes() == again.inputs.tobytes()
    assert first.targets.tobytes() == again.targets.tobytes()


def test_another_seed_gives_other_patients() -> None:
    first, other = (SMALL.cases("elmstow-clinic", seed) for seed in (7, 8))
    assert not np.array_equal(first.targets, other.targets)


def test_a_patient_depends_on_nobody_else() -> None:
    alone = Phantom(hospitals=1, patients=(1,), slices_per_patient=2).cases("ashford-general", 3)
    among = Phantom(hospitals=8, patients=(4, 2), slices_per_patient=2).cases("ashford-general", 3)
    np.testing.assert_array_equal(alone.inputs, among.inputs[:2])


def test_hospitals_past_the_table_draw_their_scanner_from_the_seed() -> None:
    source = Phantom(hospitals=6, patients=(1,), slices_per_patient=1)
    first, again, other = (source.cases("hospital-6", seed).inputs for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_masks_are_the_transformed_atlas_pixel_by_pixel() -> None:
    """The slow way: every one of a pixel's samples looked up by itself, then a vote."""
    cases, scanner = SMALL.cases("elmstow-clinic", 0), SCANNERS["elmstow-clinic"]
    anatomy = draw_anatomy(generator(0, "phantom", "elmstow-clinic-0000", "anatomy"))
    place_mm = LOWEST_SLICE_MM + (HIGHEST_SLICE_MM - LOWEST_SLICE_MM) / 3
    depths, fine_mm = round(scanner.slice_mm / 1.25), FIELD_OF_VIEW_MM / 192
    classes = [0, 1, 2, 3, 4, 0, 0]
    for row, column in np.random.default_rng(0).integers(8, 56, (60, 2)):
        votes = [0] * 5
        for step in np.ndindex(3, 3):
            x_mm = (3 * column + step[1] + 0.5) * fine_mm - FIELD_OF_VIEW_MM / 2
            y_mm = FIELD_OF_VIEW_MM / 2 - (3 * row + step[0] + 0.5) * fine_mm
            point = anatomy.atlas_points(np.float32([x_mm]), np.float32([y_mm]), place_mm)[:, 0, 0]
            for depth in range(depths):
                deep_mm = ((depth + 0.5) / depths - 0.5) * scanner.slice_mm
                voxel = np.rint(point + deep_mm * anatomy.matrix[:, 2] - atlas().origin_mm).astype(int)
                votes[classes[atlas().labels[tuple(voxel)]]] += 1
        assert votes[cases.targets[0, row, column]] == max(votes)


def test_without_noise_a_pixel_of_one_tissue_shows_that_tissue() -> None:
    clean = Scanner("clean", 1.5, 4500, 100, None, FIELD_OF_VIEW_MM / 64, 1.25, noise=0.0, bias=0.0)
    rng = np.random.default_rng(0)
    slab = tissues(draw_anatomy(rng), 2.0, clean.slice_mm, 64)
    scan = Scan.begin(clean, TISSUES, rng)
    image, target = scan.image(slab, FIELD_OF_VIEW_MM, 64, rng), majority(slab, 64)
    blocks = slab[0].reshape(64, 3, 64, 3).swapaxes(1, 2).reshape(64, 64, 9)
    pure = (blocks == target[:, :, None]).all(axis=2)
    for tissue in (CSF, GREY, WHITE):
        chosen = pure & (target == tissue)
        assert chosen.sum() > 20
        np.testing.assert_allclose(image[chosen], scan.signals[tissue], rtol=0.15)


def test_the_vote_of_a_pixel_goes_to_most_and_a_tie_to_the_lower() -> None:
    """1 has 4 of 8 samples and 0 has 3; 2 and 3 have 4 each; 0 and 4 have 4 each."""
    upper = [[1, 1, 3, 3], [1, 2, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0]]
    lower = [[1, 0, 3, 2], [0, 0, 3, 2], [0, 0, 4, 4], [0, 0, 4, 4]]
    assert majority(np.uint8([upper, lower]), 2).tolist() == [[1, 2], [0, 0]]


def test_hospitals_show_grey_against_white_differently(hospitals: dict[str, Cases]) -> None:
    contrast = {site: mean_of(cases, 2) - mean_of(cases, 3) for site, cases in hospitals.items()}
    assert contrast["ashford-general"] < -0.2 and contrast["brackwater-university"] < -0.5
    assert contrast["coldharbour-infirmary"] > 0.3
    assert abs(contrast["elmstow-clinic"]) < 0.3


def test_fluid_is_bright_in_t2_and_dark_in_flair(hospitals: dict[str, Cases]) -> None:
    def fluid_over_white(site: str) -> float:
        return mean_of(hospitals[site], 1) - mean_of(hospitals[site], 3)

    assert fluid_over_white("coldharbour-infirmary") > 0.3
    assert fluid_over_white("elmstow-clinic") < -0.3


def test_the_old_scanner_is_the_noisiest(hospitals: dict[str, Cases]) -> None:
    def noise(cases: Cases) -> float:
        corner = cases.inputs[:, 0, :4, :4]
        return float(corner.std(axis=(1, 2)).mean() / (mean_of(cases, 3) - corner.mean()))

    levels = {site: noise(cases) for site, cases in hospitals.items()}
    assert max(levels, key=lambda site: levels[site]) == "dunmere-district"
    assert levels["dunmere-district"] > 2 * levels["ashford-general"]


def test_volumes_are_normalised_as_asked() -> None:
    images = np.random.default_rng(0).normal(3, 2, (4, 8, 8)).astype(np.float32)
    images[0] *= 5
    whole, each = normalised(images, "patient"), normalised(images, "slice")
    assert whole.mean() == pytest.approx(0, abs=1e-5) and whole.std() == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(each.std(axis=(1, 2)), 1, rtol=1e-4)
    assert whole[0].std() > 2 * whole[1].std()


def test_lesions_are_a_class_of_their_own_where_asked() -> None:
    source = Phantom(patients=(3,), lesions=40.0)
    cases = source.cases("coldharbour-infirmary", 0)
    assert cases.classes[-1] == "lesion" and 5 in cases.targets
    assert mean_of(cases, 5) > mean_of(cases, 3) + 0.5


def test_a_hospital_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'ashford-general'"):
        SMALL.cases("ashford-genral", 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hospitals": 0}, "source.hospitals must be above zero"),
        ({"patients": ()}, "source.patients must list numbers above zero"),
        ({"patients": (4, 0)}, r"it is \[4, 0\]"),
        ({"size": 8}, "source.size must lie between 16 and 256"),
        ({"slices_per_patient": -1}, "source.slices_per_patient must be above zero"),
        ({"lesions": -1.0}, "source.lesions must lie between 0 and 100"),
    ],
)
def test_impossible_options_are_refused_by_name(options: dict[str, object], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        Phantom(**options)  # type: ignore[arg-type]


def test_the_protocol_changes_the_pictures_and_never_the_anatomy() -> None:
    site, options = "dunmere-district", {"patients": (1,), "slices_per_patient": 1}
    mixed, t1 = (Phantom(protocol=name, **options).cases(site, 0) for name in ("mixed", "t1"))  # type: ignore[arg-type]
    assert np.mean(mixed.targets == t1.targets) == 1.0
    assert mean_of(t1, 3) - mean_of(t1, 2) > mean_of(mixed, 3) - mean_of(mixed, 2) + 0.2
