"""Names in one form."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.names import fault_of, in_one_form


@pytest.mark.parametrize(
    "written",
    ["Köln", normalize("NFD", "Köln"), " Köln ", "Köln\u00a0", "\ufeffKöln", "K\u200böln", "Köln\n"],
)
def test_one_name_written_in_many_ways_is_one(written: str) -> None:
    assert in_one_form(written) == "K\u00f6ln"


@pytest.mark.parametrize(
    "name", ["Köln", "北京协和医院", "St. Mary's (A&E)", "São Paulo - HC", "3", "Charité – Mitte", "हिन्दी"]
)
def test_a_hospital_may_be_called_as_people_call_it(name: str) -> None:
    assert fault_of(in_one_form(name)) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("", "empty"),
        ("a" * 65, "65 characters"),
        ("北" * 64 + "", None),
        ("\U0001f3e5" * 60, "240 bytes"),
        ("a/b", "holds /"),
        ("..", "begins with"),
        ("-rf", "begins with"),
        ("a\\b", r"holds \\"),
        ("a\0b", "control"),
        ("a\x1b[31m", "control"),
        ("a\udc80", "printed"),
        (" a", "begins with"),
        ("a  b", "one form"),
        (normalize("NFD", "Köln"), "one form"),
        ("a\u202eb", "printed"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(name: str, part: str | None) -> None:
    found = fault_of(name)
    assert found is None if part is None else found is not None and part.replace("\\\\", "\\") in found


@given(st.text())
def test_one_form_is_a_fixed_point(text: str) -> None:
    assert in_one_form(in_one_form(text)) == in_one_form(text)
