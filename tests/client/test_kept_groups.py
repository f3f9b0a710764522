"""Groups of several studies on the same data: none may undo another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.kept_groups import FOLDER, keep_group
from common.errors import HospitalError, WireError

OLD = ("a", "b", "c", "d")


def test_the_same_group_and_one_with_enough_newcomers_are_served(tmp_path: Path) -> None:
    keep_group(tmp_path, "heart", OLD, 3)
    keep_group(tmp_path, "heart", OLD, 3)
    keep_group(tmp_path, "heart", (*OLD, "e", "f", "g"), 3)


@pytest.mark.parametrize(
    ("now", "apart"), [(OLD[:3], 1), ((*OLD, "e"), 1), (("a", "x", "y", "z"), 3), (("a", "b", "x", "y", "z"), 2)]
)
def test_a_group_that_tells_too_few_apart_is_refused(tmp_path: Path, now: tuple[str, ...], apart: int) -> None:
    keep_group(tmp_path, "heart", OLD, 4 if apart == 3 else 3)
    with pytest.raises(WireError, match=f"tell {apart} hospitals apart"):
        keep_group(tmp_path, "heart", now, 4 if apart == 3 else 3)


def test_other_data_have_groups_of_their_own(tmp_path: Path) -> None:
    keep_group(tmp_path, "heart", OLD, 3)
    keep_group(tmp_path, "lgg", OLD[:3], 3)


def test_a_damaged_file_refuses_and_names_itself(tmp_path: Path) -> None:
    keep_group(tmp_path, "heart", OLD, 3)
    (path,) = (tmp_path / FOLDER).iterdir()
    path.write_text("[1")
    with pytest.raises(HospitalError, match=FOLDER):
        keep_group(tmp_path, "heart", OLD, 3)
