"""`[dossier]` of a study: what is said travels and is approved; what is not said leaves a study as it was."""

from __future__ import annotations

import pytest

from common.errors import StudyError
from common.study.dossier_settings import Dossier, Party
from common.study.resumption import changes
from common.study.study import parse, parse_json

TEXT = """
title = "Test"
source = "heart"
task = "classification"
"""
SAID = """
[dossier]
purpose = "To find heart disease earlier."
review = "2027-06-30"
[[dossier.parties]]
name = "Ada Trust"
role = "joint controller"
"""


def test_a_study_without_a_dossier_reads_and_travels_as_it_did_before_there_was_one() -> None:
    study = parse(TEXT)
    assert study.dossier == Dossier()
    assert "dossier" not in study.text and "dossier" not in study.json


def test_what_is_said_survives_both_forms_and_nothing_else_is_written_out() -> None:
    study = parse(TEXT + SAID)
    assert study.dossier.parties == (Party("Ada Trust", "joint controller"),)
    assert parse(study.text) == study and parse_json(study.json) == study
    assert "legal_basis" not in study.text
    assert parse(TEXT).json != study.json


def test_a_dossier_written_later_does_not_keep_a_run_from_going_on() -> None:
    import json

    assert changes(json.loads(parse(TEXT).json), json.loads(parse(TEXT + SAID).json)) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ('review = "soon"', "dossier.review is a day such as 2027-06-30"),
        ('purpse = "x"', "did you mean 'purpose'?"),
        ('parties = [{ name = "Ada Trust" }]', "role is missing"),
        ('parties = [{ name = "Ada Trust", role = " " }]', "each names who it is and its role"),
        (f'data = "{"x" * 2001}"', "dossier.data may have 2000 characters; it has 2001"),
    ],
)
def test_what_cannot_stand_in_a_dossier_is_refused_with_the_reason(changed: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse(f"{TEXT}[dossier]\n{changed}\n")
    assert said in str(caught.value)
