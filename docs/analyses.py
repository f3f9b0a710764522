"""Write docs/analyses.md from the catalogue: every analysis, its words and options, and what it discloses.

python docs/analyses.py
"""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path
from typing import Any

from common.asking.question import named_fields
from common.study.catalogue import ANALYSES
from common.study.options import options_of

PAGE = Path(__file__).with_name("analyses.md")
HEAD = """# Analyses

What hospitals can be asked that is no model: `wardround ask heart.toml mean age`, or `[[analyses]]` of a study. Every
answer is that of all rows together, to the last bit, however they are divided among hospitals; rows in which
something is missing are left out, counted and shown. Words after a name are columns, in order; options are said as
`--option bins=20`.

Any of them is answered in groups: `mean age by sex`, `median age by site`, in the same rounds. Levels of a column are
those that the study or its source names, or an option: `levels = ["sex=female|male"]`; none is learned from patients.

Quantiles, and tests by ranks, come from rounds of counts that close in on values: exact ones tell values of patients.
`resolution` of a quantile, and `edges` of bins of a test, keep them apart from single patients, in fewer rounds.

This page is made by `python docs/analyses.py`.

"""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(_entry(name) for name in ANALYSES.names())


def _entry(name: str) -> str:
    cls = ANALYSES.load(name)
    fields, asked = options_of(cls), named_fields(cls)
    words = " ".join((name, *(field.upper() for field in asked)))
    options = ", ".join(f"`{option} = {_shown(field)}`" for option, field in fields.items() if option not in asked)
    discloses = cls.discloses if isinstance(cls.discloses, str) else "What its parts disclose."
    lines = [f"## {name}", "", f"`{words}`: {ANALYSES.summary(name)}", "", f"Discloses: {discloses}"]
    lines += ["", f"Options: {options}"] if options else []
    return "\n".join(lines) + "\n"


def _shown(field: Any) -> str:
    value = field.default if field.default is not MISSING else field.default_factory()
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else "..." if value is None else repr(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
