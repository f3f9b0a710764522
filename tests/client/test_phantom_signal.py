from __future__ import annotations

import math

import numpy as np
import pytest

from client.sources._phantom_atlas import CSF, DEEP_GREY, GREY, WHITE
from client.sources._phantom_scanners import SCANNERS, T1_SCANNERS, drawn, scanner_of, site_names
from client.sources._phantom_signal import TISSUES, inversion_recovery, signals, spin_echo, varied

HALF = math.log(2)


def of(site: str) -> np.ndarray:
    scanner = SCANNERS[site]
    times = (scanner.repetition_time_ms, scanner.echo_time_ms, scanner.inversion_time_ms)
    return signals(TISSUES, scanner.field_t, *times)


def test_half_a_recovery_and_half_a_decay_leave_a_quarter() -> None:
    assert spin_echo(1.0, 1000, 100, repetition_time_ms=1000 * HALF, echo_time_ms=100 * HALF) == pytest.approx(0.25)


def test_an_inversion_of_two_half_lives_in_a_repetition_of_three_leaves_five_eighths() -> None:
    """1 - 2/4 + 1/8."""
    value = inversion_recovery(1.0, 1000, 100, 3000 * HALF, 0, inversion_time_ms=2000 * HALF)
    assert value == pytest.approx(0.625)


def test_a_tissue_is_nulled_after_one_half_life() -> None:
    assert inversion_recovery(1.0, 500, 80, 1e9, 0, inversion_time_ms=500 * HALF) == pytest.approx(0, abs=1e-12)


def test_signals_are_magnitudes() -> None:
    assert inversion_recovery(1.0, 1000, 100, 1e9, 0, inversion_time_ms=0) == pytest.approx(1.0)


def test_white_matter_in_the_t1_scanner_by_hand() -> None:
    """0.77 (1 - exp(-500/646)) exp(-14/72) = 0.77 x 0.53884 x 0.82329."""
    assert of("ashford-general")[WHITE] == pytest.approx(0.34159, abs=2e-5)


@pytest.mark.parametrize(("tissue", "t1_ms"), [(WHITE, 838), (GREY, 1607), (DEEP_GREY, 1332), (CSF, 4300)])
def test_t1_at_3_t_is_the_published_one(tissue: int, t1_ms: float) -> None:
    assert TISSUES[tissue].t1_at(3.0) == pytest.approx(t1_ms, rel=2e-3)


@pytest.mark.parametrize(
    ("site", "dark_to_bright"),
    [
        ("ashford-general", [CSF, GREY, WHITE]),
        ("brackwater-university", [CSF, GREY, DEEP_GREY, WHITE]),
        ("coldharbour-infirmary", [WHITE, DEEP_GREY, GREY, CSF]),
    ],
)
def test_contrast_is_ordered_as_radiologists_know_it(site: str, dark_to_bright: list[int]) -> None:
    ordered = of(site)[dark_to_bright]
    assert np.all(np.diff(ordered) > 0.02 * ordered.max())


def test_flair_hides_fluid() -> None:
    flair = of("elmstow-clinic")
    assert flair[CSF] < 0.1 * min(flair[GREY], flair[WHITE])


def test_patients_vary_by_the_stated_spread() -> None:
    rng = np.random.default_rng(0)
    t1 = np.array([varied(rng, 0.03)[WHITE].t1_ms for _ in range(2000)])
    assert np.log(t1 / TISSUES[WHITE].t1_ms).std() == pytest.approx(0.03, rel=0.08)


def test_names_are_sorted_however_many_hospitals_there_are() -> None:
    for count in (1, 5, 6, 14, 120):
        names = site_names(count)
        assert len(set(names)) == count and list(names) == sorted(names)


def test_a_drawn_scanner_is_near_one_of_the_table_and_follows_its_generator() -> None:
    first, again, other = (drawn(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    base = next(scanner for scanner in SCANNERS.values() if scanner.name in first.name)
    assert abs(math.log(first.repetition_time_ms / base.repetition_time_ms)) <= 0.2
    assert first.inversion_time_ms == base.inversion_time_ms


def test_where_all_agreed_on_t1_white_matter_is_bright_and_fluid_dark_everywhere() -> None:
    for scanner in T1_SCANNERS.values():
        times = (scanner.repetition_time_ms, scanner.echo_time_ms, scanner.inversion_time_ms)
        shown = signals(TISSUES, scanner.field_t, *times)
        assert shown[CSF] < shown[GREY] < shown[WHITE]


def test_both_protocols_are_of_the_same_hospitals() -> None:
    assert list(T1_SCANNERS) == list(SCANNERS)


def test_a_hospital_of_the_table_has_its_protocols_scanner_and_others_draw_from_it() -> None:
    rng = np.random.default_rng(0)
    assert scanner_of("dunmere-district", rng, "t1") is T1_SCANNERS["dunmere-district"]
    assert scanner_of("dunmere-district", rng) is SCANNERS["dunmere-district"]
    assert all("T1" in name or "MPRAGE" in name for name in (drawn(rng, "t1").name for _ in range(20)))
