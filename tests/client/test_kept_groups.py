"""Groups of several studies on the same data: none may undo another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.kept_groups import FOLDER, keep_group
from common.errors import HospitalError, WireError

OLD = ("a", "b", "c", "d")


def test_the_same_group_is_served_in_any_order_of_names(tmp_path: Path) -> None:
    keep_group(tmp_path, "heart", OLD)
    keep_group(tmp_path, "heart", OLD[::-1])


@pytest.mark.parametrize(
    ("now", "apart"),
    [
        (OLD[:3], 1),
        ((*OLD, "e"), 1),
        ((*OLD, "e", "f", "g"), 3),
        (("a", "x", "y", "z"), 6),
        (("a", "b", "x", "y", "z"), 5),
    ],
)
def test_another_group_is_refused_and_changes_nothing(tmp_path: Path, now: tuple[str, ...], apart: int) -> None:
    keep_group(tmp_path, "heart", OLD)
    with pytest.raises(WireError, match=f"differ by {apart} hospitals"):
        keep_group(tmp_path, "heart", now)
    keep_group(tmp_path, "heart", OLD)


def test_other_data_have_groups_of_their_own(tmp_path: Path) -> None:
    keep_group(tmp_path, "heart", OLD)
    keep_group(tmp_path, "lgg", OLD[:3])


def test_a_damaged_file_refuses_and_names_itself(tmp_path: Path) -> None:
    keep_group(tmp_path, "heart", OLD)
    (path,) = (tmp_path / FOLDER).iterdir()
    path.write_text("[1")
    with pytest.raises(HospitalError, match=FOLDER):
        keep_group(tmp_path, "heart", OLD)
