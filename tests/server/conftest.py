"""Rounds made by hand, for the tests of the server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.strategy import Contributions
from wardround.testing import contributions


@pytest.fixture(scope="session")
def round_of() -> Callable[..., Contributions]:
    """Contributions from {site: (n_k, mean vectors)}; the hospitals send sums, as they really do."""
    return contributions
