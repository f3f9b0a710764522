"""Studies, engines, benchmarks and the command line. None of this code is carried to a hospital."""

from importlib.util import find_spec
from pathlib import Path

for _name in ("common", "client", "server"):
    _spec = find_spec(_name)
    _found = Path(_spec.origin) if _spec is not None and _spec.origin else None
    if _found is None or _found.resolve().parents[1] != Path(__file__).resolve().parents[1]:
        raise ImportError(
            f"Wardround's own package '{_name}' is hidden by {_found or 'a folder without __init__.py'}: start from "
            "another folder, give that file another name, or take its folder out of PYTHONPATH."
        )
