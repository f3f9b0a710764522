"""A hospital's records: what questions are asked of."""

from __future__ import annotations

import numpy as np

from client.hospital import Hospital
from common.asking.records import Records, Values
from common.wire.train_requests import SPLITS


def records_of(hospital: Hospital) -> Records:
    """The rows of everybody who takes part."""
    parts = [hospital.splits[name] for name in SPLITS]
    columns: dict[str, Values] = {}
    for name, column in parts[0].columns.items():
        if column.item == ():
            values = np.concatenate([part.array(name) for part in parts])
            columns[name] = values.astype(np.str_ if values.dtype.kind in "US" else np.float64)
    persons = np.concatenate([part.patients for part in parts]).astype(np.str_)
    return Records(columns, persons, hospital.site)
