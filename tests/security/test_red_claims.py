"""Noise that is none, hospitals that nobody named, and persons written with characters that nobody sees."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from math import isinf
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from client.sources._persons import person_named
from common.errors import SourceError, WireError
from common.privacy.accounting import epsilon_curve, epsilon_of
from common.privacy.beside import exchanged, together
from common.privacy.release import Release
from common.study.study import Study, parse
from common.study.trust import said
from common.sums.cohorts import Cohorts, is_covered_by_noise
from common.sums.exchange import Payload
from experiments.approving.agreement import approve_study
from server import handshake as gathering
from server.members import member
from server.problems import Problem
from server.traffic import Traffic
from server.transport import Conversation, Heard, Sent
from tests.experiments.conftest import TEXT

LITTLE = (
    'privacy={name="dpsgd",noise_multiplier=1e-9}',
    'privacy={name="dpsgd",epsilon=1e9}',
    'privacy={name="distributed",noise_multiplier=1e-3,grid_bits=10}',
    'privacy={name="hospital",noise_multiplier=1e-6}',
)
ENOUGH = (
    'privacy={name="dpsgd",noise_multiplier=0.5}',
    'privacy={name="dpsgd",epsilon=50.0}',
    'privacy={name="hospital",noise_multiplier=1.0}',
)
SITES = ("a", "b", "c", "d")


def a_study(*overrides: str) -> Study:
    return parse(TEXT, ["strategy=fedsgd", "training={batch_size=4}", "aggregation=secagg", *overrides])


@pytest.mark.parametrize("privacy", LITTLE)
def test_noise_that_bounds_nothing_opens_no_sums_of_some_hospitals(privacy: str) -> None:
    """Two sums that differ by one hospital gave its update away, but for a billionth of noise."""
    cohort = Cohorts.of(a_study(privacy), SITES).of_round(1)
    assert cohort.groups == (SITES,)


@pytest.mark.parametrize("privacy", ENOUGH)
def test_noise_that_hides_something_still_buys_dropouts(privacy: str) -> None:
    study = a_study(privacy)
    assert is_covered_by_noise(study) and not Cohorts.of(study, SITES).of_round(1).groups


@pytest.mark.parametrize("privacy", LITTLE)
def test_whoever_approves_noise_that_bounds_nothing_is_told_so(privacy: str, tmp_path: Path) -> None:
    heard = io.StringIO()
    approve_study(a_study(privacy).text, (), tmp_path, Console(file=heard, width=1000), None)
    assert "count on no noise here" in heard.getvalue()
    assert "noise so small bounds nothing" in heard.getvalue()
    assert any("everyone who sees the model" in sentence for sentence in said(a_study(privacy)))


def test_whoever_approves_a_promise_is_told_its_epsilon(tmp_path: Path) -> None:
    heard = io.StringIO()
    approve_study(a_study(ENOUGH[1]).text, (), tmp_path, Console(file=heard, width=1000), None)
    assert "Epsilon is 50 at delta = 1e-05, for all rounds together." in heard.getvalue()


def test_no_noise_may_be_set_where_a_table_named_a_mechanism() -> None:
    assert a_study('privacy={name="dpsgd",epsilon=1.0}', "privacy=none").privacy is None


@pytest.mark.parametrize("release", [(1e-9, 0.5, 1), (1e-9, 1.0, 1), (1e-3, 1.0, 10**6), (1.0, 0.01, 10**12)])
def test_what_is_beyond_all_computing_costs_without_bound_and_no_time(release: tuple[float, float, int]) -> None:
    """A file that said so ended `report`, and a ledger `privacy ledger`, in an overflow, or never."""
    one = Release(*release)
    assert epsilon_of([one], 1e-5).epsilon > 1e5
    assert epsilon_curve([one], 2, 1e-5)[1] > 1e5
    assert exchanged((one,), 1e-5) is None and together((one,), 1e-5, 3) is None
    assert not isinf(epsilon_of([Release(1.0, 0.01, 100)], 1e-5).epsilon)


@pytest.mark.parametrize(
    "written", ["P-04\u200b", "\ufeffP-04", "P\u201304", "P\u00ad-04", "sub-p\u221204", "P\u201104"]
)
def test_characters_that_take_no_room_make_no_other_person(written: str) -> None:
    assert person_named(written) == person_named("P-04") == "p-04"


def described(site: str, classes: list[str], side: int = 8) -> Payload:
    numbers = {f"{kind}/{name}": 5 for kind in ("cases", "patients") for name in ("train", "validation", "test")}
    return Payload(
        None,
        {**numbers, "quarantined": 0, "shape": [1, side], "labels": [0] * len(classes)},
        {"site": site, "classes": classes},
    )


class Grid:
    def get_node_ids(self) -> list[int]:
        return list(range(9))


class Answering:
    """A conversation in which node n says what it holds."""

    grid = Grid()

    def __init__(self, answers: list[Payload]) -> None:
        self.answers = answers

    def converse(self, leg: str, requests: Mapping[int, Payload], timeout_s: float) -> list[Sent | Heard]:
        heard = [Heard(node, answer, "", 0.0, 1) for node, answer in enumerate(self.answers)]
        return [*(Sent(one.node, 1) for one in heard), *heard]


def test_nodes_that_the_roster_does_not_name_have_no_say(tiny: Callable[..., Study]) -> None:
    """Five strangers of another shape were most hospitals, and the four of the study were left out."""
    entries = ",".join(f'{{name="{site}",key="{64 * str(place)}"}}' for place, site in enumerate(SITES))
    study = tiny(f"federation.roster=[{entries}]")
    own = [described(site, ["x", "y"]) for site in SITES]
    strangers = [described(f"stranger {number}", ["x", "y"], 9) for number in range(5)]
    talk = cast(Conversation, Answering(own + strangers))
    lost: list[Problem] = []
    gathered = gathering.gather(talk, study, 4, Traffic(), lost.append)
    assert tuple(gathered.members) == SITES
    assert len(lost) == 5 and all("roster" in problem.reason for problem in lost)


@pytest.mark.parametrize("name", ["\x1b]0;x\x07", "a\nb", "\u202eabc", "x" * 101])
def test_names_of_classes_are_words_that_a_terminal_may_be_shown(name: str) -> None:
    with pytest.raises(WireError, match="names of classes"):
        member(described("a", ["fine", name]))


@pytest.mark.parametrize("table", ["../sites.csv", "/etc/hostname", "sub/../../sites.csv"])
def test_a_studys_table_lies_in_the_hospitals_folder_of_data(table: str, tmp_path: Path) -> None:
    from client.sources.nifti import Nifti

    (tmp_path / "data").mkdir()
    (tmp_path / "sites.csv").write_text("patient,site\na,elsewhere\n")
    with pytest.raises(SourceError, match="inside a hospital's folder"):
        Nifti(str(tmp_path / "data"), table).sites()


def test_models_that_are_trained_without_noise_to_compare_with_are_in_the_table(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    import json

    from experiments.engines._quiet import run_quietly

    study = tiny('privacy={name="dpsgd",noise_multiplier=2.0,delta=1e-3}', "baselines.local=true", "rounds=1")
    run_quietly(study, tmp_path)
    rows = json.loads((tmp_path / "privacy.json").read_text())["not_covered"]
    assert any("baselines" in row["why"] for row in rows)
