"""What a hospital answers to a question that is no model: its own part of every sum, into the sum of all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

from client.asking.answered import query_digest
from client.asking.asked import Asked, Place, asked_of
from client.asking.part import part_of
from client.handlers import RequestContext
from client.hospital import Hospital
from client.policy import read_policy
from common.asking.analysis import Analysis
from common.asking.following import follow
from common.asking.public import public_of
from common.asking.shared_noise import noise_of
from common.asking.totals import flat
from common.errors import RefusedError, StudyError
from common.privacy.noise_source import IntegerNoise
from common.study.catalogue import AGGREGATIONS
from common.sums.aggregation import Aggregation
from common.sums.exchange import Payload
from common.sums.wide_sums import protect_wide
from common.wire.questions import NOT_UNDERSTOOD, from_payload


def answer(hospital: Hospital, request: Payload, kept: RequestContext) -> Payload:
    """The leg "question". Raises RefusedError with a word for whatever is not answered."""
    asked, local = from_payload(request), kept.local()
    try:
        analysis = asked.question.build()
    except StudyError as error:
        raise RefusedError(NOT_UNDERSTOOD, str(error)) from error
    hospitals, public = len(hospital.roster), public_of(hospital.study, hospital.roster)
    try:
        noise = noise_of(asked.question, hospital.study, hospitals)
        query = follow(asked, analysis, public, local.secrets, noise)
        weighed = asked_of(hospital.study, hospitals, asked.question, query, asked.number, local.cohort.sites)
    except StudyError as error:
        raise RefusedError(NOT_UNDERSTOOD, str(error)) from error
    place = None if kept.simulated or local.folder is None else Place(local.folder, local.data, local.run)
    source = cast(IntegerNoise, kept.sources.noise(f"question {weighed.text} {asked.number}"))
    sums = part_of(hospital, analysis, weighed, read_policy(local.folder), place, source)
    numbers = flat(asked.query.parts, sums)
    aggregation = cast(Aggregation, AGGREGATIONS.build(hospital.study.aggregation))
    return protect_wide(aggregation, numbers, request, replace(local, asked=_read(weighed, analysis)))


def _read(asked: Asked, analysis: Analysis) -> str:
    """What is asked, once for all ways to write it: with what stands at its default, and conditions in one form."""
    noise = (asked.question.epsilon, asked.question.delta)
    return json.dumps([repr(analysis), json.loads(asked.text)["where"], *noise, query_digest(asked)])
