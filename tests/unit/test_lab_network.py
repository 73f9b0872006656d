"""Addresses and names of the lab's network."""

import pytest

from lab import network
from lab.errors import LabError


def test_library_keeps_its_address_whatever_is_taken() -> None:
    assert network.choose_address("library", {"10.87.0.11"}) == "10.87.0.10"


def test_others_get_the_first_free_address_from_11_up() -> None:
    assert network.choose_address("one", set()) == "10.87.0.11"
    assert network.choose_address("two", {"10.87.0.11", "10.87.0.13"}) == "10.87.0.12"


def test_no_droplet_gets_the_reserved_address_the_bridge_or_the_broadcast() -> None:
    assert not {"10.87.0.0", "10.87.0.1", "10.87.0.10", "10.87.0.255"} & set(network.POOL)


def test_a_full_lab_says_what_to_do() -> None:
    with pytest.raises(LabError, match=r"invoke lab\.down"):
        network.choose_address("late", set(network.POOL))


@pytest.mark.parametrize("address", [network.POOL[0], network.POOL[-1]])
def test_interface_names_fit_the_kernel(address: str) -> None:
    assert len(network.host_end(address)) <= 15


def test_each_address_has_a_local_unicast_mac_of_its_own() -> None:
    macs = {network.mac(address) for address in network.POOL}
    assert len(macs) == len(network.POOL)
    assert network.mac("10.87.0.11") == "02:57:0a:57:00:0b"


def test_the_rules_touch_the_labs_own_table_only() -> None:
    tables = [line.split()[-1] for line in network.RULES.splitlines() if "table ip" in line]
    assert {name for name in tables if name != "{"} == {network.TABLE}
    assert "flush" not in network.RULES
