"""Flower's own names lead to ours."""

from __future__ import annotations

import pytest
from flwr.serverapp import strategy as flower

from common.errors import UnknownNameError
from common.study.catalogue import STRATEGIES
from common.study.options import Entry

NO_STRATEGIES = {"Strategy", "Result"}


@pytest.mark.parametrize("name", sorted(set(flower.__all__) - NO_STRATEGIES))
def test_every_strategy_of_flower_leads_to_what_it_is_here(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        STRATEGIES.load(name)
    text = str(caught.value)
    ours = next((one for one in STRATEGIES.names() if one == name.lower()), None)
    assert f"did you mean {ours!r}" in text if ours else f"Flower's {name} is" in text


@pytest.mark.parametrize("name", ["fed_median", "FEDMEDIAN", "FedMedian"])
def test_however_it_is_spelt(name: str) -> None:
    with pytest.raises(UnknownNameError, match="Flower's FedMedian is strategy 'median'"):
        STRATEGIES.build(Entry(name))
