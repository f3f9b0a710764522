"""What rooms hand on is what their files hold, and nothing is imported for it before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

ROOMS = {
    "common.data": ("Batch", "Cases", "Geometry", "Image", "Pooled", "Quarantined", "Shape", "SiteId", "concatenate"),
    "common.learning": ("Network", "Task", "Training", "Work"),
    "common.study": ("Entry", "Study", "parse"),
    "common.sums": ("Aggregation", "Collected", "Exchange", "Local", "Mean", "Payload", "Update", "Vector"),
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_hands_on_what_strangers_need_and_names_what_it_has_not(room):
    package = import_module(room)
    assert all(getattr(package, name) is not None for name in ROOMS[room])
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = package.nonsense


def test_a_study_is_handed_on_without_torch():
    code = "import sys; from common.study import Study; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
