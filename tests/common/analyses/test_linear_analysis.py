import numpy as np
import pytest
import statsmodels.api as sm

from common.analyses.linear import Linear
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from tests.common.analyses.patients import LEVELS, answered, column, design, patients

COVARIATES = ("age", "sex", "stage", "age:sex")


@pytest.mark.parametrize("errors", ["classical", "hc0", "hc1", "hc2", "hc3"])
def test_it_is_that_of_statsmodels_on_all_rows(errors: str) -> None:
    records = patients()
    answer = answered(Linear("pressure", COVARIATES, errors, LEVELS), records)
    model = sm.OLS(records.numbers("pressure"), design(records))
    peer = model.fit() if errors == "classical" else model.fit(cov_type=errors.upper(), use_t=True)
    for key, theirs in (("estimate", peer.params), ("standard_error", peer.bse), ("p", peer.pvalues)):
        assert np.allclose(column(answer, key), theirs, rtol=1e-9, atol=0), key
    ends = np.stack([column(answer, "low"), column(answer, "high")], axis=1)
    assert np.allclose(ends, peer.conf_int(), rtol=1e-9, atol=1e-12)
    theirs = {"r_squared": peer.rsquared, "log_likelihood": peer.llf, "aic": peer.aic, "bic": peer.bic}
    for key, value in theirs.items():
        assert np.isclose(answer.numbers[key], value, rtol=1e-9)
    if errors == "classical":
        assert np.isclose(answer.numbers["f"], peer.fvalue, rtol=1e-9)


def test_longleys_data_give_the_certified_digits() -> None:
    """NIST, Statistical Reference Datasets, Longley: sums in doubles lose half of what is certified."""
    data = sm.datasets.longley.load_pandas().data
    columns = {name: data[name].to_numpy(dtype=np.float64) for name in data}
    records = Records(columns, np.arange(16).astype(str), "all")
    answer = ask_tables(Linear("TOTEMP", ("GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR")), [records]).answer
    certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
    ]
    assert np.allclose(column(answer, "estimate"), certified, rtol=1e-14, atol=0)
    assert np.isclose(column(answer, "standard_error")[0], 890420.383607373, rtol=1e-14)
    assert np.isclose(answer.numbers["r_squared"], 0.995479004577296, rtol=1e-14)


def test_an_offset_of_a_billion_and_the_smallest_unit_cost_no_digit() -> None:
    records = patients()
    age = records.numbers("age")
    far = Records(
        {**records.columns, "age": age * 2**-100, "pressure": records.numbers("pressure") + 2**30},
        records.persons,
        "all",
    )
    near, moved = (answered(Linear("pressure", ("age", "sex"), levels=LEVELS), one) for one in (records, far))
    assert np.allclose(column(moved, "estimate")[1] * 2**-100, column(near, "estimate")[1], rtol=1e-6)
    assert np.allclose(column(moved, "p")[1:], column(near, "p")[1:], rtol=1e-5)


def test_a_level_that_nobody_has_is_left_out_and_the_next_is_the_reference() -> None:
    records = patients(40)
    plain = answered(Linear("pressure", ("stage",), levels=("stage=I|II|III",)), records)
    more = answered(Linear("pressure", ("stage",), levels=("stage=0|I|II|III|IV",)), records)
    assert more.numbers["coefficients"] == plain.numbers["coefficients"]
    assert "Nobody has stage=0, stage=IV" in " ".join(more.words)


def test_levels_that_everybody_knows_make_categories_of_numbers_as_well() -> None:
    records = patients(60)
    asked = ask_tables(Linear("pressure", ("event",)), [records], Public(levels={"event": ("1", "0")}))
    assert list(asked.answer.numbers["coefficients"]) == ["intercept", "event=0"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": np.full(40, 3.0)}, "covariate 'x' is the same in every complete row"),
        ({"x": patients(40).numbers("age") * 2 + 1}, "covariate 'x' is given by age"),
        ({"x": patients(40).numbers("age") / 3}, "covariate 'x' is given by age"),
        ({"x": np.full(40, np.nan)}, "none has all of age, x"),
        ({"x": np.r_[1.0, 2.0, np.full(38, np.nan)]}, "2 complete rows cannot tell of 3 coefficients"),
    ],
)
def test_what_has_no_answer_is_refused_in_words(columns: dict[str, np.ndarray], words: str) -> None:
    records = patients(40)
    records = Records({**records.columns, **columns}, records.persons, "all")
    with pytest.raises(AnalysisError, match=words):
        answered(Linear("pressure", ("age", "x")), records)


def test_one_row_is_refused() -> None:
    with pytest.raises(AnalysisError, match="1 complete rows"):
        answered(Linear("pressure", ("age",)), patients(1))


def test_a_row_that_is_alone_in_its_group_has_classical_errors_and_is_told() -> None:
    records = patients(40)
    rare = np.where(np.arange(40) == 7, "yes", "no")
    records = Records({**records.columns, "rare": rare}, records.persons, "all")
    answer = answered(Linear("pressure", ("age", "rare"), "hc3", ("rare=no|yes",)), records)
    assert answer.numbers["errors"] == "classical" and "1 rows are fitted exactly" in answer.words[0]


@pytest.mark.parametrize(
    ("covariates", "levels", "words"),
    [
        (("age:sex",), LEVELS, "needs 'age' among the covariates"),
        (("age", "age"), LEVELS, "named twice"),
        (("age", "age:age"), LEVELS, "joins a column with itself"),
        (("age:",), LEVELS, "has no name"),
        (("sex",), (), "name its levels"),
        (("sex",), ("sex=f",), "two or more"),
        (("agge",), (), "did you mean 'age'"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(
    covariates: tuple[str, ...], levels: tuple[str, ...], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        ask_tables(Linear("pressure", covariates, levels=levels), [patients(20)])


def test_an_unknown_kind_of_errors_is_answered_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean 'hc3'"):
        Linear("pressure", ("age",), "hc4")
