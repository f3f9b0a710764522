"""Questions to deployed hospitals behind their whole app: what the policy decides is what goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from client.audit_log import lines
from client.ledger import Ledger
from common.asking.public import public_of
from common.asking.question import Question
from common.asking.totals import form_of, total_of
from common.data.names import SiteId
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.cohort import Cohort
from common.sums.exchange import Payload
from common.sums.wide_sums import collect_wide
from common.wire.questions import AskedQuery, to_payload
from tests.client.played_rounds import SECAGG, SITES, VICTIM, Federation, images, study_of

LISTED = 'analyses=[{name="count", where=["class = \'class 1\'"]}, {name="count", epsilon=1.0}]'
COUNT = Entry("count", {"where": ["class = 'class 1'"]})
NOISY = Entry("count", {"epsilon": 1.0})
FREE = Entry("count", {"where": ["class = 'class 0'"]})


class Asking:
    """One run that asks. others: what some hospitals are asked instead."""

    def __init__(self, folder: Path, aggregation: str = "plain") -> None:
        study = study_of(images(folder), folder, LISTED, f"aggregation={aggregation}")
        self.federation = Federation(study, folder)
        self.federation.hello()
        self.refused: dict[SiteId, str] = {}
        self.asked = 0

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """The leg "round" is a question."""
        found = {}
        for site, request in sorted(requests.items()):
            reply = self.federation.answer("question" if leg == "round" else leg, site, request)
            if "refused" in reply.words or "incident" in reply.words:
                self.refused[site] = str(reply.words.get("refused", "incident"))
            else:
                found[site] = reply
        return found

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """Nobody is told."""

    def total(self, entry: Entry, others: Mapping[SiteId, Entry] | None = None) -> int | None:
        """Rows in the sum of all three; None where there is none."""
        study = self.federation.study
        self.asked += 1
        self.federation.number = study.rounds + self.asked
        requests = {site: self._request((others or {}).get(site, entry)) for site in SITES}
        query = next(Question.of(entry).build().ask(public_of(study, SITES)))
        aggregation = AGGREGATIONS.build(study.aggregation)
        collected = collect_wide(aggregation, self, requests, Cohort(SITES, 3), form_of(query.parts))
        if collected.total is None or len(collected.sites) < len(SITES):
            return None
        return int(total_of(query.parts, collected.total).count("rows"))

    def _request(self, entry: Entry) -> Payload:
        study = self.federation.study
        question = Question.of(entry)
        query = next(question.build().ask(public_of(study, SITES)))
        return to_payload(AskedQuery(question, 1, query), study.json, self.federation.run, self.federation.number)


@pytest.mark.parametrize("aggregation", ["plain", SECAGG])
def test_listed_questions_are_answered_logged_and_charged_and_no_others(aggregation: str, tmp_path: Path) -> None:
    asking = Asking(tmp_path, aggregation)
    exact = asking.total(COUNT)
    assert exact is not None and 0 < exact < 80, asking.federation.said()
    noisy = asking.total(NOISY)
    assert noisy is not None and abs(noisy - 80) < 60, asking.federation.said()
    assert asking.total(FREE) is None and set(asking.refused.values()) == {"free"}
    for site in SITES:
        said = [line.facts["answer"] for line in lines(tmp_path / site) if line.facts["event"] == "question"]
        assert said == ["exact", "noise"]
        (charge,) = Ledger(tmp_path / site).contents().entries
        assert charge.releases[0].noise_multiplier == 1.0


def test_masks_of_hospitals_that_are_asked_in_other_words_do_not_cancel(tmp_path: Path) -> None:
    """Two listed questions, of which one hospital gets another than the rest: its own part is in no sum."""
    asking = Asking(tmp_path, SECAGG)
    other = Entry("count", {"where": ["class = 'class 1'"], "title": "x"})
    assert asking.total(COUNT) is not None
    assert asking.total(COUNT, {VICTIM: other}) is not None, "a title is no part of what is asked"
    mixed = asking.total(COUNT, {VICTIM: NOISY})
    assert mixed is None or abs(mixed) > 10**6
