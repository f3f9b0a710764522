"""Lists in a study: of the wrong length, with an entry twice, empty or below zero, each is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import StudyError
from common.study.catalogue import AGGREGATIONS, NETWORKS, SOURCES, TASKS, Catalogue
from common.study.federation import Federation, RosterEntry
from common.study.options import Entry

UNET = {"name": "unet"}


@pytest.mark.parametrize(
    ("catalogue", "name", "options", "words"),
    [
        (SOURCES, "phantom", {"hospitals": 2, "patients": [3, 4, 5]}, "lists 3 hospitals.* source.hospitals is 2"),
        (SOURCES, "phantom_pairs", {"hospitals": 1, "patients": [3, 4]}, "lists 2 hospitals.* source.hospitals is 1"),
        (SOURCES, "phantom", {"patients": []}, r"above zero; it is \[\]"),
        (SOURCES, "phantom_pairs", {"patients": [4, -1]}, r"above zero; it is \[4, -1\]"),
        (SOURCES, "nifti", {"classes": ["background"]}, "classes must list 2 to 256; it lists 1"),
        (SOURCES, "nifti", {"classes": ["background", "ball", "ball"]}, "classes lists 'ball' more than once"),
        (SOURCES, "nifti", {"classes": ["background", " "]}, "classes lists a blank word"),
        (SOURCES, "nifti_pairs", {"classes": []}, "classes must list 2 to 256; it lists 0"),
        (SOURCES, "nifti_pairs", {"size": [40, 40]}, r"three numbers of voxels from 4; it is \[40, 40\]"),
        (SOURCES, "medmnist", {"classes": ["cat", "cat"]}, "classes lists 'cat' more than once"),
        (TASKS, "classification", {"network": "mlp", "scores": []}, "scores must list 1 or more; it lists 0"),
        (TASKS, "segmentation", {"network": UNET, "scores": ["dice", "dice"]}, "lists 'dice' more than once"),
        (NETWORKS, "unet", {"widths": [4, 8, 8], "depth": 2}, "lists 3 levels, and network 'unet'.depth is 2"),
        (NETWORKS, "unet", {"widths": [4, 0]}, r"widths\[1\] must be above zero"),
        (NETWORKS, "mlp", {"hidden": [8, -8]}, r"hidden\[1\] must be above zero"),
        (NETWORKS, "dilated", {"dilations": []}, "dilations is empty"),
        (NETWORKS, "two_pathway", {"widths": []}, "widths is empty"),
        (AGGREGATIONS, "ckks", {"coefficient_bits": [60, 60]}, r"three numbers or more, .* it is \[60, 60\]"),
        (
            AGGREGATIONS,
            "ckks",
            {"coefficient_bits": [60, -40, 60]},
            r"coefficient_bits\[1\] must lie between 1 and 60",
        ),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_name(
    catalogue: Catalogue, name: str, options: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        catalogue.build(Entry(name, options))


def test_every_hospital_of_a_roster_has_a_name_and_a_key_of_its_own() -> None:
    with pytest.raises(StudyError, match="gives Bonn and Ulm one key"):
        Federation(roster=(RosterEntry("Bonn", "0" * 64), RosterEntry("Ulm", "0" * 64)))
    with pytest.raises(StudyError, match="is empty"):
        Federation(roster=(RosterEntry(" ", "0" * 64),))
