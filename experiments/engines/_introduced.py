"""Hospitals of one machine introduced to each other: elsewhere this is what their administrators do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from common.data.cases import SiteId
from common.study.federation import RosterEntry
from common.study.study import Study
from common.sums import identity


def introduce_all(folders: Mapping[SiteId, Path]) -> Mapping[SiteId, bytes]:
    """A signing key for every hospital, and everybody's public keys: else it is the administrator who does this."""
    public = {site: identity.create(folder) for site, folder in folders.items()}
    for folder in folders.values():
        identity.introduce(folder, public)
    return public


def with_roster(study: Study, public: Mapping[SiteId, bytes]) -> Study:
    """The study as every hospital approves it: with the names and keys of all of them, unless it has them."""
    if study.federation.roster:
        return study
    roster = tuple(RosterEntry(site, sha256(key).hexdigest()) for site, key in sorted(public.items()))
    return replace(study, federation=replace(study.federation, roster=roster))
