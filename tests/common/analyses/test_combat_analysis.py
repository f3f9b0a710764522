import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from common.analyses.combat import Combat
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

FEATURES = ("f0", "f1", "f2", "f3", "f4")
Values = NDArray[np.float64]


def scans(rows: int = 90) -> tuple[Records, ...]:
    """Three hospitals whose scanners shift and stretch features, and whose patients are not of one age."""
    rng = np.random.default_rng(1)
    found = []
    for place in range(3):
        age, sex = rng.normal(60 + 3 * place, 8, rows // 3), rng.choice(["f", "m"], rows // 3)
        noise = rng.normal(size=(rows // 3, 5)) * (1 + 0.5 * place) + rng.normal(0, 2, 5)
        values = 100 + noise + 0.1 * age[:, None] + (sex == "m")[:, None]
        columns = {f"f{k}": values[:, k] for k in range(5)}
        names = np.array([f"{place}-{row}" for row in range(rows // 3)])
        found.append(Records({**columns, "age": age, "sex": sex, "scanner": names.astype("U1")}, names, f"h{place}"))
    return tuple(found)


def pooled_combat(values: Values, batch: NDArray[np.int64], covariates: Values) -> Values:
    """Johnson 2007 as neuroCombat writes it down, on all rows together, its iteration taken to the end."""
    rows, batches = len(values), int(batch.max()) + 1
    whole = np.concatenate([np.eye(batches)[batch], covariates], axis=1)
    effects = np.linalg.lstsq(whole, values, rcond=None)[0]
    grand = np.bincount(batch) / rows @ effects[:batches]
    pooled = ((values - whole @ effects) ** 2).mean(axis=0)
    expected = grand + covariates @ effects[batches:]
    standing = (values - expected) / np.sqrt(pooled)
    for one in range(batches):
        mine = standing[batch == one]
        n, shift, spread = len(mine), mine.mean(axis=0), mine.var(axis=0, ddof=1)
        middle, wide = spread.mean(), spread.var(ddof=1)
        shape, rate = (2 * wide + middle**2) / wide, (middle * wide + middle**3) / wide
        gamma, delta = shift, spread
        for _ in range(300):
            gamma = (shift.var(ddof=1) * n * shift + delta * shift.mean()) / (shift.var(ddof=1) * n + delta)
            delta = (((mine - gamma) ** 2).sum(axis=0) / 2 + rate) / (n / 2 + shape - 1)
        standing[batch == one] = (mine - gamma) / np.sqrt(delta)
    return standing * np.sqrt(pooled) + expected


def test_hospitals_correct_themselves_as_pooled_combat_would() -> None:
    tables = scans()
    asked = Combat(FEATURES, ("age", "sex"), levels=("sex=f|m",))
    numbers = json.loads(json.dumps(ask_tables(asked, tables).answer.numbers))
    ours = np.concatenate([features(asked.corrected(table, numbers)) for table in tables])
    covariates = np.concatenate(
        [np.stack([table.numbers("age"), table.words("sex") == "m"], axis=1) for table in tables]
    )
    theirs = pooled_combat(
        np.concatenate([features(table) for table in tables]), np.repeat([0, 1, 2], 30), covariates
    )
    assert np.allclose(ours, theirs, rtol=1e-11)


def features(records: Records) -> Values:
    return np.stack([records.numbers(name) for name in FEATURES], axis=1)


def test_no_answer_tells_a_hospitals_own_correction() -> None:
    tables, asked = scans(), Combat(FEATURES, ("age",))
    answer = ask_tables(asked, tables).answer
    told = json.dumps(answer.numbers)
    for table in tables:
        own = asked.own_corrections(table, answer.numbers)[table.site]
        assert not any(repr(value) in told for pair in own.values() for value in pair)
    shares = [
        (row["scanner_share_before"], row["scanner_share_after"]) for row in answer.numbers["features"].values()
    ]
    assert np.mean([before for before, _ in shares]) > 0.2 and max(after for _, after in shares) < 0.01


def test_scanners_within_hospitals_are_told_apart_by_a_column() -> None:
    tables, asked = scans(), Combat(FEATURES, ("age",), "scanner")
    columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in tables[0].columns}
    pooled = Records(columns, np.concatenate([table.persons for table in tables]), "all")
    assert ask_tables(asked, [pooled]).answer == ask_tables(asked, tables).answer
    sites = ask_tables(Combat(FEATURES, ("age",)), tables).answer
    assert ask_tables(asked, tables).answer.numbers == sites.numbers


def test_without_empirical_bayes_every_scanner_has_mean_0_and_spread_1() -> None:
    tables, asked = scans(), Combat(FEATURES, empirical_bayes=False)
    numbers = ask_tables(asked, tables).answer.numbers
    for table in tables:
        after = features(asked.corrected(table, numbers))
        assert np.allclose(after.mean(axis=0), [numbers["features"][name]["mean"] for name in FEATURES])
        assert np.allclose(after.std(axis=0, ddof=1), [numbers["features"][name]["spread"] for name in FEATURES])


def test_rows_that_cannot_be_corrected_stay_as_they_are() -> None:
    tables = scans()
    values = tables[0].numbers("f0").copy()
    values[3] = np.nan
    alone = tables[0].words("scanner").copy()
    alone[5] = "new"
    first = replace(tables[0], columns={**tables[0].columns, "f0": values, "scanner": alone})
    asked = Combat(FEATURES, ("age",), "scanner")
    answer = ask_tables(asked, [first, *tables[1:]]).answer
    after = asked.corrected(first, answer.numbers)
    assert answer.numbers["alone_with_scanner"] == 1 and answer.numbers["n"] == 88
    assert np.isnan(after.numbers("f0")[3]) and after.numbers("f1")[3] == first.numbers("f1")[3]
    assert after.numbers("f2")[5] == first.numbers("f2")[5] and after.numbers("f2")[6] != first.numbers("f2")[6]


def test_what_cannot_be_told_from_the_scanners_is_refused() -> None:
    tables = scans()
    by_site = [
        replace(table, columns={**table.columns, "c": np.full(30, float(place))})
        for place, table in enumerate(tables)
    ]
    with pytest.raises(AnalysisError, match="'c' hardly varies within scanners"):
        ask_tables(Combat(FEATURES, ("age", "c")), by_site)
    flat = [replace(table, columns={**table.columns, "f0": np.full(30, 2.0)}) for table in tables]
    with pytest.raises(AnalysisError, match="'f0' does not vary"):
        ask_tables(Combat(FEATURES), flat)
    with pytest.raises(AnalysisError, match="two scanners"):
        ask_tables(Combat(FEATURES), tables[:1])
    with pytest.raises(StudyError, match="is no covariate"):
        Combat(("f0", "f1"), ("f0",))
