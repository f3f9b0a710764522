"""Networks of hospitals in one process: as many as are kept, and the others as if they had just been drawn."""

from __future__ import annotations

import torch
from torch import nn

from client.warm_networks import WarmNetworks


def _drawn() -> nn.Module:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    return layer


def _weight(network: nn.Module) -> float:
    return float(next(network.parameters()).detach().mean())


def _written(networks: WarmNetworks, whose: str, value: float) -> nn.Module:
    network = networks.of(whose, "kind", _drawn)
    with torch.no_grad():
        next(network.parameters()).fill_(value)
    return network


def test_a_network_stays_the_same_while_few_are_asked_for() -> None:
    networks = WarmNetworks(most_bytes=0, fewest=2)
    first = _written(networks, "a", 7.0)
    _written(networks, "b", 8.0)
    assert networks.of("a", "kind", _drawn) is first


def test_the_one_that_was_asked_for_longest_ago_is_drawn_anew() -> None:
    networks = WarmNetworks(most_bytes=0, fewest=2)
    for index, whose in enumerate("abc"):
        _written(networks, whose, 7.0 + index)
    assert _weight(networks.of("b", "kind", _drawn)) == 8.0
    assert _weight(networks.of("a", "kind", _drawn)) == 3.0


def test_what_one_hospital_wrote_never_reaches_another() -> None:
    networks = WarmNetworks(most_bytes=0, fewest=1)
    for index in range(4):
        assert _weight(networks.of(index, "kind", _drawn)) == 3.0
        _written(networks, str(index), float(index))


def test_another_kind_is_made_by_its_own_rule() -> None:
    networks = WarmNetworks(most_bytes=0, fewest=1)
    networks.of("a", "kind", _drawn)
    networks.of("b", "kind", _drawn)
    other = networks.of("c", "another", lambda: nn.Linear(5, 1))
    assert next(other.parameters()).shape == (1, 5)


def test_small_networks_stay_as_long_as_they_take_no_more_memory_than_that() -> None:
    networks = WarmNetworks(most_bytes=5 * 3 * 4, fewest=1)
    first = [_written(networks, str(index), float(index)) for index in range(5)]
    assert all(networks.of(str(index), "kind", _drawn) is one for index, one in enumerate(first))
    _written(networks, "another", 9.0)
    assert networks.of("0", "kind", _drawn) is not first[0]


def test_a_network_that_cannot_be_copied_is_made_for_every_hospital() -> None:
    def with_a_weight_that_is_no_leaf() -> nn.Module:
        layer = _drawn()
        layer.scaled = 2 * layer.get_parameter("weight")
        return layer

    networks = WarmNetworks(most_bytes=0, fewest=3)
    assert len({id(networks.of(whose, "kind", with_a_weight_that_is_no_leaf)) for whose in "abc"}) == 3
