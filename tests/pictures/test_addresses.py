from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.pictures.addresses import Address, may_dial

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e", "::ffff:1.1.1.1"]
SPECIAL = {
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.8.9.10", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.255"],
    "link-local": ["169.254.1.1", "fe80::1", "fec0::1"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"],
    "metadata under addresses that look public": ["168.63.129.16", "::ffff:168.63.129.16", "192.80.8.124"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.9", "4000::1"],
    "benchmark": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1"],
    "IPv4-compatible": ["::127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b:1::7f00:1"],
    "6to4": ["2002:7f00:1::1", "192.88.99.1"],
    "Teredo": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "ISATAP": ["2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_dialled(address: str) -> None:
    assert may_dial(ip_address(address))


@pytest.mark.parametrize("address", [address for addresses in SPECIAL.values() for address in addresses])
def test_special_addresses_are_refused(address: str) -> None:
    assert not may_dial(ip_address(address))


@given(st.ip_addresses())
def test_permitted_addresses_are_global_for_python_too(address: Address) -> None:
    if may_dial(address):
        judged = getattr(address, "ipv4_mapped", None) or address
        assert judged.is_global
        assert not any((judged.is_multicast, judged.is_reserved, judged.is_private, judged.is_link_local))


def test_the_operator_can_allow_a_network_and_nothing_beside_it() -> None:
    intranet = (ip_network("10.1.0.0/16"),)
    assert may_dial(ip_address("10.1.2.3"), intranet)
    assert may_dial(ip_address("::ffff:10.1.2.3"), intranet)
    assert not may_dial(ip_address("10.2.0.1"), intranet)
    assert may_dial(ip_address("168.63.129.16"), (ip_network("168.63.129.16/32"),))
