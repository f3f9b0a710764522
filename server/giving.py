"""The model that a study begins from, to hospitals that must have it whole before anything else."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.names import SiteId
from common.study.study import Study
from common.sums.exchange import Payload
from common.sums.update import Vector
from common.wire.train_requests import RUN
from server.exchange import GridExchange
from server.handshake import Note
from server.members import Member
from server.problems import Problem


def give(model: Vector, study: Study, members: Mapping[SiteId, Member], exchange: GridExchange, note: Note) -> None:
    """To those that lack it: a part of it never travels again, or questions read what its encoder makes of cases."""
    start = study.start
    lacking = [site for site, one in members.items() if start is None or one.has_model != start.sha256]
    request = Payload(model, {}, {"study": study.json, RUN: exchange.run})
    exchange.ask("start", dict.fromkeys(lacking, request))
    for drop in exchange.take_dropped():
        note(Problem("start", drop.reason, drop.site, exchange.nodes.get(drop.site)))
