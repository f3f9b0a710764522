"""Tables as hospitals of several countries export them, and what of them is refused or quarantined, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.participants import taking_part
from client.source import Source
from client.sources._table_faults import key_of
from client.sources._table_numbers import Convention, found_convention
from client.sources._table_text import decoded
from client.sources.heart import Heart
from common.data.cases import Cases
from common.errors import SourceError, StudyError, UnknownNameError
from common.study.catalogue import SOURCES
from common.study.options import Entry


def source(folder: Path, **options: Any) -> Source:
    return SOURCES.build(Entry("table", {"folder": str(folder), **options}))


def cases(folder: Path, text: str | bytes, site: str = "a", **options: Any) -> Cases:
    (folder / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    own = source(folder, **{"label": "y", "target": "number", **options})
    return taking_part(own, own.cases(site, 0), frozenset(), None)


def test_three_countries_write_one_number_in_three_ways(tmp_path: Path) -> None:
    german = "patient;gewicht;y\r\nä1;1.070,5;7,25\r\nä2;81,5;6\r\n"
    (tmp_path / "Köln.csv").write_bytes(german.encode("cp1252"))
    (tmp_path / "Boston.csv").write_bytes(b'\xef\xbb\xbfpatient,gewicht,y\nb1,"1,070.5",7.25\nb2,81.5,6\n,,\n')
    (tmp_path / "São Paulo.csv").write_bytes(
        "sep=;\npatient;gewicht;y;;\ns1;1.070,5;7,25;;\ns2;81,5;6;;\n".encode("utf-16")
    )
    made = source(tmp_path, label="y", target="number", measured={"gewicht": []})
    assert made.sites() == ("Boston", "Köln", "São Paulo")
    for site, person in zip(made.sites(), ("b1", "ä1", "s1"), strict=True):
        found = made.cases(site, 0)
        assert found.inputs.tolist() == [[1070.5], [81.5]]
        assert found.targets.tolist() == [7.25, 6.0]
        assert found.patients[0] == person
        assert found.quarantined == ()


def test_one_table_with_a_column_of_hospitals(tmp_path: Path) -> None:
    (tmp_path / "all.tsv").write_text("klinik\tx\ty\n Köln \t1\tno\nKo\u0308ln\t2\tyes\nBonn\t3\tyes\n")
    made = source(tmp_path, file="all.tsv", site="klinik", label="y")
    assert made.sites() == ("Bonn", "Köln")
    found = made.cases("Köln", 0)
    assert (found.inputs.tolist(), found.targets.tolist(), found.classes) == ([[1], [2]], [0, 1], ("no", "yes"))


def test_without_a_column_of_hospitals_a_study_divides_the_persons(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("x,y\n1,0\n2,1\n")
    made = source(tmp_path, file="all.csv", label="y")
    assert (made.has_sites, made.sites(), len(made.cases(None, 0))) == (False, (), 2)


def test_levels_are_those_the_study_names(tmp_path: Path) -> None:
    found = cases(tmp_path, "x,k,y\n1,B,1\n2,a,2\n3,d,3\n4,,4\n", categorical={"k": ["a", "b", "c"]})
    assert found.inputs.tolist() == [[1, 0, 1], [0, 0, 2]]
    assert [one.name for one in found.quarantined] == ["a.csv line 4", "a.csv line 5"]
    assert "'d', a level that source.categorical.k does not name" in found.quarantined[0].reason


def test_a_missing_value_is_a_constant_and_a_mark_where_one_is_named_and_else_quarantined(tmp_path: Path) -> None:
    text = "x,z,y\n,5,1\nNA,6,2\n-9,7,3\n4,NA,4\n"
    found = cases(tmp_path, text, missing=["NA"], missing_in={"x": [-9]}, impute={"x": 50})
    assert found.inputs.tolist() == [[50, 1, 5], [50, 1, 6], [50, 1, 7]]
    assert [one.reason for one in found.quarantined] == [
        "column 'z' has no value: source.impute.z can name a constant for it"
    ]


@pytest.mark.parametrize("code", ["-9", "-99.0", "999", "9999"])
def test_a_code_that_nobody_named_is_pointed_out(code: str, tmp_path: Path) -> None:
    found = cases(tmp_path, f"x,y\n{code},1\n2,2\n")
    assert "'not measured'" in found.quarantined[0].reason and "source.measured.x" in found.quarantined[0].reason
    assert len(cases(tmp_path, f"x,y\n{code},1\n2,2\n", measured={"x": [float(code)]})) == 2


@pytest.mark.parametrize(("column", "usable"), [("systolic_bp", 1), ("Größe", 1), ("chol", 1), ("children", 2)])
def test_nobody_alive_has_a_blood_pressure_of_zero(column: str, usable: int, tmp_path: Path) -> None:
    assert len(cases(tmp_path, f"{column},y\n0,1\n120,2\n")) == usable


def test_public_constants_scale_and_hospitals_own_are_declared(tmp_path: Path) -> None:
    text = "a,b,y\n50,10,1\n70,30,2\n"
    scaling = {"a": {"center": 60, "spread": 5}, "b": {"low": 0, "high": 40}}
    assert cases(tmp_path, text, scaling=scaling).inputs.tolist() == [[-2, 0.25], [2, 0.75]]
    assert cases(tmp_path, text, scaling="hospital").inputs.tolist() == [[-1, -1], [1, 1]]
    options = {"label": "y", "classes": ["0", "1"], "decimal": "."}
    assert source(tmp_path, **options).pooled_statistics == ()
    declared = source(tmp_path, label="y", scaling="hospital").pooled_statistics
    assert [one.option.partition(" ")[0] for one in declared] == [
        "source.classes",
        "source.decimal",
        "source.scaling",
    ]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("12 mg/dl", "a number with a unit: leave 'mg/dl' out"),
        ("45%", "a number with a unit"),
        ("2020-01-31", "a date or a time"),
        ("31.01.2020", "a date or a time"),
        ("yes", "a word of two"),
        ("<0.5", "a bound and no value"),
        ("NA", "no number: name it in source.missing"),
        ("1_000", "no number"),
        ("0x10", "a number with a unit"),
        ("nan", "no number"),
        ("inf", "no number"),
        ("1e300", "not finite"),
        ("1 234", "mark between thousands"),
        ("1,234", "mark between thousands"),
    ],
)
def test_what_is_no_number_is_quarantined_by_column_and_line(cell: str, said: str, tmp_path: Path) -> None:
    (one,) = cases(tmp_path, f'x;y\n1.5;1\n"{cell}";2\n').quarantined
    assert one.name == "a.csv line 3"
    assert "column 'x'" in one.reason and said in one.reason


def test_a_unit_that_is_named_is_taken_off(tmp_path: Path) -> None:
    assert cases(tmp_path, "x;y\n70,5 kg;1\n80kg;2\n", units={"x": "kg"}).inputs.tolist() == [[70.5], [80]]


def test_a_line_break_in_quotes_a_blank_line_and_a_row_of_another_length(tmp_path: Path) -> None:
    text = 'note,x,y\n"one\ntwo",1,1\n\n  \nb,2\nc,3,3,9\nd,4,4\n'
    found = cases(tmp_path, text, ignore=["note"])
    assert found.targets.tolist() == [1, 4]
    assert [(one.name, one.reason[:14]) for one in found.quarantined] == [
        ("a.csv line 6", "it has 2 cells"),
        ("a.csv line 7", "it has 4 cells"),
    ]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", {}, "is empty"),
        ("x,y\n", {}, "no row"),
        ("x y\n1 2\n", {}, "has one column"),
        ("a,b;y\n1,2;3\n", {"label": "b"}, "can be parted by"),
        ('x;y\n"1,234";1\n', {}, "'1,234' in line 2, column 'x', .* two ways"),
        ("x;y\n1.234;1\n", {}, "two ways"),
        ("x;y\n1,5;1\n2.5;2\n", {}, r"'2.5' in line 3.*'1,5' in line 2"),
        ("x,x,y\n1,2,3\n", {}, "columns 1 and 2 'x'"),
        (",x,y\n1,2,3\n", {}, "has no name"),
        ("63,1,145\n67,1,160\n", {}, "seems to hold values, not names"),
        ("x,yy\n1,2\n", {}, "did you mean 'yy'"),
        ("patient_id,x,y\n1,2,3\n", {}, "source.person = 'patient_id'"),
        ("Fallnummer,x,y\n1,2,3\n", {}, "seems to name persons"),
        ("hospital,x,y\n1,2,3\n", {}, "source.site = 'hospital'"),
        ("patient,person,x,y\n1,1,2,3\n", {}, "set source.person"),
        ("patient,x,y\n04,1,1\n4,2,2\n", {}, "one person or two"),
        ("y\n1\n", {"delimiter": ","}, "no column to learn from"),
        ("x,y\na,1\nb,2\n", {}, "none of 2 rows can be used.*every row.*source.categorical.x = "),
        ("x,y\nNA,1\n2,2\n", {"unusable": "refuse"}, "1 rows cannot be used"),
        ('x,y\n"1,2\n', {}, "cannot be read as cells"),
        (b"x,y\n1,\x002\n", {}, "line 2 .* NUL"),
        (b"PK\x03\x04....", {}, "workbook"),
        (b"\xd0\xcf\x11\xe0....", {}, "old Excel"),
        ("x,y\n1,2\n".encode("utf-16-le"), {}, "UTF-16 .*without a mark"),
        ("x,Стационар,y\n1,2,3\n".encode("cp1251"), {}, "doubtful which encoding"),
        ("x,y\n1,ä\n".encode("cp1252"), {"encoding": "utf-8"}, "0xe4 in line 2"),
        ("x,y\n1,2\n", {"encoding": "utf-88"}, "no such encoding"),
        ("x,y\n1,2\n", {"categorical": {"z": ["a", "b"]}}, "'z'"),
        ("x,y\n1,2\n", {"scaling": {"z": {"low": 0, "high": 1}}}, "'z'"),
        ("x,y\n1,2\n", {"features": ["X1"]}, "did you mean|'X1'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(text: Any, options: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises((SourceError, UnknownNameError), match=said):
        cases(tmp_path, text, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"decimal": ";"},
        {"thousands": ","},
        {"decimal": ",", "thousands": ","},
        {"delimiter": ";;"},
        {"classes": ["a"]},
        {"classes": ["a", "a"]},
        {"events": ["dead"]},
        {"categorical": {"x": "a"}},
        {"categorical": {"x": ["a", "a"]}},
        {"categorical": {"x": ["a"]}},
        {"impute": {"x": "mean"}},
        {"scaling": "mean"},
        {"scaling": {"x": {"center": 1}}},
        {"scaling": {"x": {"center": 1, "spread": 0}}},
        {"scaling": {"x": {"low": 1, "high": 1}}},
        {"scaling": {"x": 3}},
        {"units": {"x": 3}},
        {"measured": {"x": ["a"]}},
    ],
)
def test_options_are_checked_before_any_table_is_read(options: Any, tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        source(tmp_path / "absent", features=["x"], **options)


def test_tables_of_hospitals_must_agree_on_columns_unless_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,1\n2,2\n")
    (tmp_path / "b.csv").write_text("y,extra,x\n3,0,4\n")
    with pytest.raises(SourceError, match=r"b\.csv and a\.csv differ in the columns extra"):
        source(tmp_path, label="y", target="number").cases("a", 0)
    assert source(tmp_path, label="y", target="number", ignore=["extra"]).cases("b", 0).inputs.tolist() == [[4]]
    assert source(tmp_path, label="y", target="number", features=["x"]).cases("b", 0).inputs.tolist() == [[4]]


@pytest.mark.parametrize("names", [("a.csv", "a.tsv"), ("Köln.csv", "köln.csv"), ("a:b.csv", "c.csv")])
def test_names_of_files_that_are_no_two_hospitals_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("x,y\n1,1\n")
    with pytest.raises(SourceError):
        source(tmp_path).sites()


def test_links_and_files_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x,y\n1,1\n")
    (inner := tmp_path / "in").mkdir()
    (inner / "a.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceError, match="regular file"):
        source(inner, label="y").cases("a", 0)
    with pytest.raises(SourceError, match="leads out"):
        source(inner, label="y", file="../secret.csv").cases(None, 0)


def test_a_folder_that_is_a_file_is_told_how_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,1\n")
    with pytest.raises(SourceError, match=r"source\.file = 'a\.csv'"):
        source(tmp_path / "a.csv").sites()


def test_parquet_is_read_as_the_same_table_in_text(tmp_path: Path) -> None:
    columns = {"patient": [1.0, 2.0, None], "x": [1.5, 2.0, 3.0], "sex": ["f", "m", "m"], "y": [True, False, True]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    options: Any = {"label": "y", "classes": ["false", "true"], "categorical": {"sex": ["f", "m"]}, "decimal": ","}
    found = source(tmp_path, **options).cases("a", 0)
    assert found.inputs.tolist() == [[0, 1.5], [1, 2]]
    assert found.targets.tolist() == [1, 0]
    assert found.patients.tolist() == ["1", "2"]
    assert [one.reason for one in found.quarantined] == ["column 'patient' names no person"]


@pytest.mark.parametrize("content", [b"PAR1", b"", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_a_broken_parquet_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SourceError, match="not a readable Parquet"):
        source(tmp_path).cases("a", 0)


def test_times_with_events(tmp_path: Path) -> None:
    text = "x,days,died,y\n1,10,yes,0\n2,20.5,No,0\n3,-1,no,0\n4,5,maybe,0\n"
    found = cases(tmp_path, text, target="survival", time="days", event="died", ignore=["y"])
    assert found.targets.tolist() == [[10, 1], [20.5, 0]]
    assert found.columns["event"].gather().tolist() == [1, 0]
    assert [one.name[-1] for one in found.quarantined] == ["4", "5"]


def test_a_split_that_a_column_prescribes(tmp_path: Path) -> None:
    found = cases(tmp_path, "x,part,y\n1,Training,1\n2,val,2\n3,test,3\n4,other,4\n", split="part")
    assert found.given_split is not None and found.given_split.tolist() == ["train", "validation", "test"]
    assert found.prescribed == ("validation", "test")
    assert len(found.quarantined) == 1


def test_whose_a_row_is_without_a_column_follows_from_the_row_alone(tmp_path: Path) -> None:
    before = cases(tmp_path, "x,y\n1,1\n2,2\n2,2\n").patients.tolist()
    after = cases(tmp_path, "x,y\n2,2\n1,1\n2,2\n").patients.tolist()
    assert sorted(before) == sorted(after) and len(set(before)) == 3


@settings(max_examples=100, deadline=None)
@given(
    st.integers(-(10**9), 10**9), st.integers(0, 4), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'")])
)
def test_a_number_written_by_a_convention_is_read_by_it(number: int, places: int, marks: tuple[str, str]) -> None:
    decimal, thousands = marks
    text = f"{number / 10**places:,.{places}f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
    assert Convention(decimal, thousands).number(text) == pytest.approx(number / 10**places, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=5), st.sampled_from([(".", ","), (",", ".")]))
def test_the_convention_that_is_found_is_never_another_than_the_one_written(numbers: list[int], marks: Any) -> None:
    decimal, thousands = marks
    texts = [
        f"{number / 1000:,.3f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
        for number in numbers
    ]
    try:
        found = found_convention([(2, "x", text) for text in texts], ";", "a.csv")
    except SourceError:
        return
    assert found.decimal == decimal


@given(st.text(alphabet="äöüßéñçA b,;\n1", max_size=40))
def test_text_is_the_same_in_every_encoding_that_is_found_out(text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert decoded(text.encode(encoding), "a.csv") == text


def test_western_text_of_one_byte_a_letter_is_found_out() -> None:
    assert decoded("Größe;Straße;São;Noël;naïve;38°".encode("cp1252"), "a.csv") == "Größe;Straße;São;Noël;naïve;38°"


def test_hearts_first_patient_is_not_lost_to_a_byte_order_mark(tmp_path: Path) -> None:
    rows = "".join(f"{40 + index},1,1,145,233,1,2,150,0,2.3,3,0,6,0\n" for index in range(130))
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "processed.va.data").write_bytes(rows.encode(encoding))
        found = Heart(str(tmp_path), scaling="none").cases("va", 0)
        assert (len(found), found.quarantined) == (130, ())
        assert found.inputs[0, 0] == np.float32(40)


def test_a_table_that_cannot_be_used_says_all_columns_at_once_and_the_line_that_mends_each(tmp_path: Path) -> None:
    rows = "".join(f"A{index};{index + 40};{'fm'[index % 2]};{'' if index == 3 else index};1\n" for index in range(9))
    (tmp_path / "a.csv").write_text("Fallname;age;sex;crp;label\n" + rows + "B;50;f;2;0\n")
    with pytest.raises(SourceError) as raised:
        source(tmp_path, classes=["0", "1"]).cases("a", 0)
    assert str(raised.value) == (
        "a: none of 10 rows can be used. In every row column 'Fallname' holds another word, such as 'A0': write "
        "source.ignore = [\"Fallname\"]; in every row column 'sex' holds words: write source.categorical.sex = "
        '["f", "m"]; in 1 of 10 rows column \'crp\' has no value: source.impute.crp can name a constant for it.'
    )
    mended = source(
        tmp_path, classes=["0", "1"], ignore=["Fallname"], categorical={"sex": ["f", "m"]}, impute={"crp": 0}
    )
    assert mended.cases("a", 0).inputs.shape == (10, 4)


def test_columns_whose_names_are_no_words_of_toml_are_in_quotes() -> None:
    assert [key_of(name) for name in ("sex", "Größe", "heart rate")] == ["sex", '"Größe"', '"heart rate"']
