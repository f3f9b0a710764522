"""Where benchmarks find real data: fetched by `wardround data fetch`, or beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

from common.errors import SourceError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def find(*names: str) -> Path:
    """The first folder of one of these names. Raises SourceError that says where it looked."""
    roots = [Path(os.environ.get("WARDROUND_DATA", "data")), SHARED]
    for root in roots:
        for name in names:
            if (root / name).is_dir():
                return root / name
    looked = ", ".join(str(root / name) for root in roots for name in names)
    raise SourceError(
        f"the data of this benchmark was not found in {looked}. "
        f"Set WARDROUND_DATA to the folder that holds {names[0]}, or see `wardround data list`."
    )
