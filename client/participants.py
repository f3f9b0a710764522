"""Who of a hospital's persons takes part in a study; what is computed from several is computed from those alone."""

from __future__ import annotations

from client.consent import Called, consenting
from client.source import Source
from client.source_abilities import scaled
from client.withdrawn import PERSONS, without
from common.data.cases import Cases


def taking_part(source: Source, cases: Cases, withdrawn: frozenset[str], called: Called | None) -> Cases:
    """Without those who withdrew, and without those whose consent does not cover the study, who are quarantined.

    called: what consent may call the study; None: it is not asked for. Raises SourceError where nobody consents.
    """
    kept = consenting(without(cases, withdrawn), called).with_columns(**{PERSONS: None})
    return scaled(source, kept)
