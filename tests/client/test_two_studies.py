"""Two studies in one hospital's folder and one process equal two fresh folders, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from client.state_store import key_of
from common.study.study import Study
from tests.client.played_rounds import FEDAVG, SCAFFOLD, SECAGG, SITES, VICTIM, Federation, images, study_of

OTHER_SHAPE = "task.network.hidden=[7]"
OWN_PARTS = ('strategy="fedavg"', "training.personal=['*.bias']")
PAIRS = {
    "another network": ((), (OTHER_SHAPE, "seed=12")),
    "secagg": ((f"aggregation={SECAGG}",), (f"aggregation={SECAGG}", "seed=12")),
    "secagg and plain": ((f"aggregation={SECAGG}",), (OTHER_SHAPE,)),
    "own parts": (OWN_PARTS, (*OWN_PARTS, "seed=12")),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images(tmp_path_factory.mktemp("images"))


def federation(data: Path, own: Path, more: tuple[str, ...], run: str = "a" * 32) -> Federation:
    study = study_of(data, own, *more)
    return Federation(study, own, run, FEDAVG if study.strategy.name == "fedavg" else SCAFFOLD)


def memories(own: Path, study: Study, run: str) -> dict[str, dict[str, np.ndarray]]:
    """What each hospital keeps of a run, by file."""
    places = {site: own / site / "memory" / key_of(study.json, run) for site in SITES}
    return {
        f"{site}/{path.name}": load_file(path)
        for site, place in places.items()
        for path in sorted(place.glob("*.safetensors"))
    }


def copied(own: Path, fresh: Path) -> Path:
    """The same keys, so that both rosters are the same study."""
    for site in SITES:
        (fresh / site).mkdir(parents=True)
        for name in ("identity.key", "peers.json"):
            (fresh / site / name).write_bytes((own / site / name).read_bytes())
    return fresh


Alone = tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]


def alone(data: Path, fresh: Path, more: tuple[str, ...], run: str = "a" * 32) -> Alone:
    """A study in fresh folders, in a process that knows nothing."""
    one = federation(data, fresh, more, run)
    for site in SITES:
        one.restart(site)
    return one.rounds(), memories(fresh, one.study, run)


def demand_equal(one: Federation, found: np.ndarray, fresh: Alone) -> None:
    np.testing.assert_array_equal(found, fresh[0])
    kept = memories(one.own, one.study, one.run)
    assert kept.keys() == fresh[1].keys()
    for name, vectors in kept.items():
        np.testing.assert_equal(vectors, fresh[1][name])


@pytest.mark.parametrize("pair", PAIRS)
def test_interleaved_studies_equal_those_in_fresh_folders(pair: str, data: Path, tmp_path: Path) -> None:
    """Rounds in turn, in one folder, one process and one context a hospital, as a node holds it."""
    first, second = PAIRS[pair]
    one = federation(data, tmp_path / "shared", first)
    other = federation(data, tmp_path / "shared", second, one.run)
    other.contexts = one.contexts
    found: dict[str, np.ndarray] = {}

    def then(number: int) -> None:
        """The other study's whole run so far, between two rounds of this one."""
        if number == 2:
            found["other"] = other.rounds()

    found["one"] = one.rounds(before=then)
    for name, played, more in (("one", one, first), ("other", other, second)):
        demand_equal(played, found[name], alone(data, copied(tmp_path / "shared", tmp_path / name), more))


def test_two_runs_of_one_study_with_the_same_network_in_memory_equal_fresh_ones(data: Path, tmp_path: Path) -> None:
    one, other = (federation(data, tmp_path / "shared", OWN_PARTS, run * 32) for run in "ab")
    other.contexts = one.contexts
    found = {}
    found["one"] = one.rounds(before=lambda number: found.setdefault("other", other.rounds()) if number == 2 else 0)
    for name, played in (("one", one), ("other", other)):
        fresh = copied(tmp_path / "shared", tmp_path / name)
        demand_equal(played, found[name], alone(data, fresh, OWN_PARTS, played.run))


@pytest.mark.parametrize("leg", ["shares", "unmask"])
def test_a_whole_round_of_another_study_between_two_legs_disturbs_neither(
    leg: str, data: Path, tmp_path: Path
) -> None:
    """One context a hospital: what a protocol remembers from leg to leg is each run's own."""
    one = federation(data, tmp_path / "shared", (f"aggregation={SECAGG}",))
    other = federation(data, tmp_path / "shared", (f"aggregation={SECAGG}", "seed=12"))
    other.contexts = one.contexts
    found: list[np.ndarray] = []
    one.between[leg] = lambda: found.append(other.rounds(1))
    model = one.rounds(1)
    for name, more, kept in (("one", (), model), ("other", ("seed=12",), found[0])):
        fresh = alone_rounds(data, copied(tmp_path / "shared", tmp_path / name), (f"aggregation={SECAGG}", *more))
        np.testing.assert_array_equal(kept, fresh)


def alone_rounds(data: Path, fresh: Path, more: tuple[str, ...]) -> np.ndarray:
    return federation(data, fresh, more).rounds(1)


def test_the_comparison_finds_a_memory_that_is_another_studys(data: Path, tmp_path: Path) -> None:
    """What `client.state_store` would do if it were not keyed: study B starts from study A's control variates."""
    one = federation(data, tmp_path / "shared", ())
    other = federation(data, tmp_path / "shared", ("seed=12",))
    one.rounds(1)
    place = tmp_path / "shared" / VICTIM / "memory"
    (place / key_of(one.study.json, one.run)).rename(place / key_of(other.study.json, other.run))
    fresh = federation(data, copied(tmp_path / "shared", tmp_path / "fresh"), ("seed=12",))
    assert not np.array_equal(other.rounds(2), fresh.rounds(2))
