"""A release, its numbers and its page, in a folder; and what a person is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from client.sources._table_layout import seems_to_name_persons
from common.errors import StudyError
from common.files.access import write
from common.privacy.noise import SystemNoise
from experiments.anonymising.by_partition import fewest_here, read_partition, released_by
from experiments.anonymising.conduct import Release, Wanted, release_of, rows_of, trade_off
from experiments.anonymising.noisy import noisy_release
from experiments.anonymising.page import finding, page_of, summary_of
from experiments.anonymising.table import Table, csv_of

KS = (2, 3, 5, 10, 20, 50)
RELEASE, SUMMARY, PAGE = "release.csv", "summary.json", "anonymity.html"


def write_all(
    source: Table, wanted: Wanted, kept: tuple[str, ...], folder: Path, epsilon: float, partition: Path | None
) -> list[str]:
    """Write release.csv, summary.json and anonymity.html; the sentences to say.

    kept: columns to release although they seem to say who somebody is. partition: of all hospitals, where there is
    one. Raises StudyError or UnknownNameError where what is wanted cannot be.
    """
    source.demand(kept)
    if partition is not None:
        release, wanted = _by_partition(source, wanted, kept, partition)
        curve, noisy = [], None
    else:
        wanted = _careful(source, wanted, kept)
        release = release_of(source, wanted)
        curve = trade_off(source, wanted, sorted({*KS, wanted.criteria.k}))
        noisy = noisy_release(source, wanted, release, epsilon, SystemNoise())
    write(folder, RELEASE, csv_of(*rows_of(source, wanted, release)))
    write(folder, SUMMARY, json.dumps(summary_of(wanted, release), indent=2, allow_nan=False) + "\n")
    page = write(folder, PAGE, page_of(source, wanted, release, curve, noisy))
    said = [finding(source, wanted, release)]
    if partition is not None:
        said.append(
            f"Groups are of {int(release.has['k'])} rows or more in all hospitals' releases together; in this one "
            f"alone the smallest has {fewest_here(release)}: do not let it out where it tells whose it is."
        )
    if release.suppressed:
        why = "" if partition is None else ", which are in no group: if they were asked about, groups are not whole"
        said.append(f"Left out: {release.suppressed} of {len(release.group)} rows{why}.")
    guessed = [one for one in wanted.drop if one in source.identifying]
    if guessed:
        said.append(f"Not released, since it seems to say who somebody is: {', '.join(guessed)}.")
    return [*said, f"{folder / RELEASE}", f"{page}"]


def _careful(source: Table, wanted: Wanted, kept: tuple[str, ...]) -> Wanted:
    """Without columns that seem to say who somebody is; refused where these say that somebody has several rows."""
    named = {*wanted.quasi, wanted.sensitive, *wanted.unreleased, *wanted.side, *kept}
    guessed = [one for one in source.identifying if one not in named]
    for one in guessed:
        if not wanted.person and seems_to_name_persons(one) and source.rows_of_one(one) > 1:
            raise StudyError(
                f"column {one!r} seems to name persons, of whom some have several rows, which k rows may all be of: "
                f"say --person {one}, or --drop {one} if it does not."
            )
    return replace(wanted, drop=(*wanted.drop, *guessed))


def _by_partition(source: Table, wanted: Wanted, kept: tuple[str, ...], path: Path) -> tuple[Release, Wanted]:
    if wanted.quasi or wanted.most_suppressed:
        raise StudyError("a partition says which columns are made alike and how: leave --quasi and --suppress out.")
    handed, has = read_partition(path)
    wanted = _careful(source, replace(wanted, quasi=tuple(domain.name for domain in handed.domains)), kept)
    return released_by(source, wanted, handed, has), wanted
