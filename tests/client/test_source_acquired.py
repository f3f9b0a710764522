"""Images measured as a scanner would: what is drawn, what is noise, and what stays as it was."""

import numpy as np
import pytest
import torch

from client.sources.acquired import Acquired
from common.errors import SourceError, StudyError, UnknownNameError
from common.reconstruction.packing import Layout
from common.study.catalogue import OPERATORS
from common.study.options import Entry

IMAGES = Entry("phantom", {"hospitals": 2, "patients": [3, 2], "slices_per_patient": 2, "size": 16})
MRI = Entry("cartesian_mri", {"acceleration": 2.0})


def test_without_noise_the_data_are_the_operator_of_the_truth() -> None:
    cases = Acquired(IMAGES, (MRI,)).cases("ashford-general", 0)
    measured, linear = Layout.of(OPERATORS.build(MRI), (2, 16, 16)).unpack(torch.from_numpy(cases.inputs))
    truth = torch.from_numpy(np.asarray(cases.targets))
    torch.testing.assert_close(linear.forward(truth), measured, rtol=0, atol=1e-5)


def test_noise_has_the_deviation_that_is_stated_and_lies_where_data_are() -> None:
    clean, noisy = (
        Acquired(IMAGES, (MRI,), noise=(deviation,)).cases("ashford-general", 0) for deviation in (0.0, 0.5)
    )
    added = (noisy.inputs - clean.inputs)[:, :2]
    mask = clean.inputs[:, 2:] > 0
    assert abs(added[np.broadcast_to(mask, added.shape)].std() - 0.5) < 0.03
    assert np.abs(added[np.broadcast_to(~mask, added.shape)]).max() == 0


def test_magnitudes_go_from_0_to_1_of_each_person_and_the_phase_is_not_even() -> None:
    cases = Acquired(IMAGES, (MRI,)).cases("ashford-general", 0)
    magnitude = np.linalg.norm(np.asarray(cases.targets), axis=1)
    for person in np.unique(cases.patients):
        own = magnitude[cases.patients == person]
        assert own.min() == pytest.approx(0, abs=1e-6) and own.max() == pytest.approx(1, abs=1e-6)
    assert (np.asarray(cases.targets)[:, 1] < -0.05).any() or (np.asarray(cases.targets)[:, 0] < -0.05).any()


def test_hospitals_take_operators_and_noise_in_turn() -> None:
    across = Entry("cartesian_mri", {"acceleration": 2.0, "axis": 1})
    source = Acquired(IMAGES, (MRI, across), noise=(0.0, 0.1))
    first, second = (source.cases(site, 0).inputs[0, 2] for site in source.sites())
    assert (np.ptp(first, axis=1) == 0).all() and (np.ptp(second, axis=0) == 0).all()


def test_a_hospital_measures_as_it_does_whoever_else_takes_part() -> None:
    across = Entry("cartesian_mri", {"acceleration": 2.0, "axis": 1})
    everybody, alone = (
        Acquired(IMAGES, (MRI, across), noise=(0.0, 0.1), members=members)
        for members in ((), ("brackwater-university",))
    )
    assert alone.sites() == ("brackwater-university",)
    first, second = (one.cases("brackwater-university", 0) for one in (everybody, alone))
    assert np.array_equal(first.inputs, second.inputs) and np.array_equal(first.targets, second.targets)
    with pytest.raises(UnknownNameError, match="brackwater"):
        alone.cases("ashford-general", 0)
    with pytest.raises(UnknownNameError, match="ashford-general"):
        Acquired(IMAGES, (MRI,), members=("ashford",)).sites()


def test_few_photons_make_dark_rays_noisier() -> None:
    """The spread of a line integral is about the root of exp(depth) / photons, over the attenuation."""
    ct, source = Entry("ct", {"views": 12}), {"images": IMAGES, "attenuation": 0.2}
    clean, noisy = (
        Acquired(operators=(ct,), photons=photons, **source).cases("ashford-general", 0).inputs[:, :5]  # type: ignore[arg-type]
        for photons in ((1e12,), (1e3,))
    )
    off = noisy - clean
    for low, high in ((-0.1, 0.1), (0.8, 1.2)):
        depth = 0.2 * clean
        within = (depth > low) & (depth < high) & (off != 0)
        expected = np.sqrt(np.exp(depth[within]) / 1e3).mean() / 0.2
        assert within.sum() > 50 and off[within].std() == pytest.approx(expected, rel=0.15)


def test_another_seed_draws_another_mask() -> None:
    source = Acquired(IMAGES, (MRI,))
    assert (source.cases("ashford-general", 0).inputs[:, 2] != source.cases("ashford-general", 1).inputs[:, 2]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"operators": ()}, "operators must list one"),
        ({"operators": (MRI,), "noise": ()}, "noise must list one"),
        ({"operators": (MRI,), "noise": (-1.0,)}, "noise"),
        ({"operators": (MRI,), "photons": (0.0,)}, "photons"),
        ({"operators": (MRI,), "noise": (0.1,), "photons": (1e4,)}, "give one of them"),
        ({"operators": (MRI, Entry("denoising"))}, "complex"),
        ({"operators": (Entry("cartesian_mry"),)}, "cartesian_mri"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: dict[str, tuple[object, ...]], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        Acquired(IMAGES, **options)  # type: ignore[arg-type]


def test_operators_whose_planes_one_task_would_misread_are_refused() -> None:
    """A wider point spread by three of its deviations is of another size; of one stated reach they are alike."""
    blurs = [{"factor": 2, "kernel": "gaussian", "sd_pixels": deviation} for deviation in (0.5, 1.5)]
    differing = tuple(Entry("downsampling", one) for one in blurs)
    site = Acquired(IMAGES, differing).sites()[0]
    with pytest.raises(StudyError, match="reach_pixels"):
        Acquired(IMAGES, differing).cases(site, 0)
    alike = tuple(Entry("downsampling", {**one, "reach_pixels": 3}) for one in blurs)
    assert len(Acquired(IMAGES, alike).cases(site, 0))


def test_a_channel_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match="channel 1"):
        Acquired(IMAGES, (MRI,), channel=1).cases("ashford-general", 0)
