"""Coordinators that follow every leg of the contract and cheat between legs, rounds, runs and studies.

Hospitals are real ones, of the whole client app; the coordinator's half is a good program that is told lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from client.kept_groups import keep_group
from common.data.cases import SiteId
from common.errors import WireError
from common.learning.score_names import statistic_names
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study, parse
from common.sums.cohort import Cohort
from common.sums.exchange import Expected, Payload
from common.sums.update import Update
from common.wire.train_requests import Order, to_payload
from experiments.benchmarks import _contract_sums
from experiments.benchmarks._contract_nodes import Coordinator, Hospitals, study_of, write_images
from experiments.benchmarks._contract_sums import BASE_ROUND, NEARLY, Opened, Opener
from experiments.evidence.ground_truth import hospital_of

HOSPITALS = 6


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    write_images(folder)
    return folder


@dataclass
class UnderAnotherStudy(Coordinator):
    """Asks some legs of a session in the name of another study that the hospitals approved as well."""

    legs: Mapping[str, Study] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        kept, self.study = self.study, self.legs.get(leg, self.study)
        try:
            return super().ask(leg, requests)
        finally:
            self.study = kept


def without_victim(nodes: Hospitals, legs: Mapping[str, Study], victim: SiteId) -> tuple[Opened | None, Opened]:
    """Two sums at nearly one model: one that lacks the victim, if hospitals open it, and one of all."""
    opener = Opener(nodes)
    sites = Cohort(nodes.sites)
    everybody = opener.open(opener.order(BASE_ROUND, opener.start), opener.new_run(), sites)
    assert everybody is not None

    def coordinator(*about: object) -> UnderAnotherStudy:
        return UnderAnotherStudy(*about, legs=legs)  # type: ignore[arg-type]

    with patch.object(_contract_sums, "Coordinator", coordinator):
        model = (opener.start + NEARLY).astype(np.float32)
        lost = {"round": (victim,)}
        fewer = opener.open(opener.order(BASE_ROUND, model), opener.new_run(), sites, lost)
    return fewer, everybody


@pytest.mark.parametrize("aggregation", ["secagg", "bfv"])
def test_a_sum_is_not_opened_under_the_rules_of_another_approved_study(
    aggregation: str, images: Path, tmp_path: Path
) -> None:
    """Only whole groups in one study, any survivors in another whose noise covers them: the last legs named that."""
    study = study_of(images, 3, HOSPITALS, "strategy=fedavg", f"aggregation={aggregation}")
    nodes = Hospitals(study, tmp_path)
    noise = ('privacy={name="dpsgd",noise_multiplier=1.0}', 'split.assignment="independent"')
    noisy = parse(study.text, ['source.classes=["a", "b", "c", "d"]', *noise])
    victim = nodes.sites[0]
    fewer, everybody = without_victim(nodes, {"survivors": noisy, "unmask": noisy}, victim)
    told = 0.0 if fewer is None else cosine(everybody.values - fewer.values, everybody.sent[victim].vectors[0])
    assert fewer is None, f"the victim's update, at cosine {told:.6f}"


@pytest.mark.parametrize(
    ("aggregation", "leg"), [("secagg", "survivors"), ("bfv", "survivors"), ("additive", "sums")]
)
def test_a_hospital_kept_from_an_opening_is_not_told_by_the_others_known_updates(
    aggregation: str, leg: str, images: Path, tmp_path: Path
) -> None:
    """A garbage model, opened without asking the victim, leaves the others control variates far beyond the range.

    Their next updates are cut to +-1 of the scale, an odd number of them: what is left of the sum is the victim's.
    """
    training = ("strategy=scaffold", "training.learning_rate=1.0", "training.steps=1")
    nodes = Hospitals(study_of(images, 3, HOSPITALS, *training, f"aggregation={aggregation}"), tmp_path)
    opener, sites, victim = Opener(nodes), Cohort(nodes.sites), nodes.sites[0]
    run, garbage = opener.new_run(), (300 * np.abs(opener.start)).astype(np.float32)
    opener.open(opener.order(BASE_ROUND, garbage), run, sites, {leg: (victim,)})
    opened = opener.open(opener.order(BASE_ROUND + 1, opener.start), run, sites)
    if opened is None:
        return
    scaled = opened.values / max(opener.cases.values())
    left = scaled - (2 * np.round((scaled - 1) / 2) + 1)
    others = np.array([opened.sent[site].vectors[0] for site in nodes.sites[1:]]) / max(opener.cases.values())
    cut = np.all(np.abs(others) > 1, axis=0)
    if not cut.any():  # the garbage round was never sent: nobody's values are known to be cut
        return
    told = cosine(left[cut], opened.sent[victim].vectors[0][cut])
    pytest.fail(f"the victim's update, at cosine {told:.6f} in {cut.mean():.0%} of its values")


def test_scores_alone_are_asked_for_after_the_last_round_only(images: Path, tmp_path: Path) -> None:
    """Noise covers updates, and sums of any survivors are opened; scores have none, and cost nothing to ask for."""
    noise = ('privacy={name="dpsgd",noise_multiplier=1.0}', 'split.assignment="independent"')
    named = ('source.classes=["a", "b", "c", "d"]', "split.validation=0.4", "federation.evaluate_every=1")
    nodes = Hospitals(
        study_of(images, 3, HOSPITALS, "strategy=fedavg", "aggregation=secagg", *named, *noise), tmp_path
    )
    everybody, fewer = (_scored(nodes, lost) for lost in ((), nodes.sites[:1]))
    assert everybody is None and fewer is None, "the difference is one hospital's scores"


def _scored(nodes: Hospitals, lost: tuple[SiteId, ...]) -> Update | None:
    """The sum of the scores of whoever is not lost, of a model of the coordinator's choice, in a run of its own."""
    opener, study = Opener(nodes), nodes.study
    model = (opener.start + NEARLY * (1 + len(lost))).astype(np.float32)
    order = Order(study.json, BASE_ROUND, model, None, evaluate=("validation",))
    shape = hospital_of(study, nodes.sites[0]).train.shape
    names = tuple(f"validation/{name}" for name in statistic_names(study.build_task(), shape))
    expected = Expected(0, 0, opener.cases, ("seconds/evaluation", *names), Cohort(nodes.sites))
    exchange = Coordinator(nodes, study, "0" * 31 + str(len(lost)), BASE_ROUND, {"round": lost})
    requests = dict.fromkeys(nodes.sites, to_payload(order, exchange.run))
    collected = AGGREGATIONS.build(study.aggregation).collect(exchange, requests, frozenset(requests), expected)
    total: Update | None = collected.total
    return total


Groups = tuple[tuple[str, ...], ...]
PAIRWISE: tuple[Groups, ...] = (("0123456", "789"), ("0123789", "456"), ("0456789", "123"))  # type: ignore[assignment]
"""Any two groups that share a hospital differ by three or more; A + B + C - 2 (all ten) is hospital 0."""
UNSEEN: tuple[Groups, ...] = (("012",), ("345",), ("0123456",))  # type: ignore[assignment]
"""C - A - B is hospital 6, and no hospital is in all three."""


@pytest.mark.parametrize("studies", [PAIRWISE, UNSEEN])
def test_groups_of_several_studies_tell_no_single_hospital_apart(studies: tuple[Groups, ...], tmp_path: Path) -> None:
    """Every hospital asked, in every study: whatever sums it lets be opened, no combination of all is of fewer."""
    opened = [group for groups in studies for group in groups if all(_kept(tmp_path, site, group) for site in group)]
    names = sorted({site for groups in studies for group in groups for site in group})
    rows = np.array([[float(site in group) for site in names] for group in opened])
    for place in range(len(names)):
        alone = np.eye(len(names))[place]
        factors, *_ = np.linalg.lstsq(rows.T, alone, rcond=None)
        assert np.linalg.norm(rows.T @ factors - alone) > 0.5, f"hospital {names[place]} is told apart"


def _kept(folder: Path, site: str, group: tuple[str, ...]) -> bool:
    try:
        keep_group(folder / site, "heart", group)
    except WireError:
        return False
    return True
