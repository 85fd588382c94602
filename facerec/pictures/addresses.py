"""IP addresses that the service may connect to: public unicast addresses, and the networks that the operator allows."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# `ipaddress.is_global` changes between releases of Python, and is true for multicast and for old transition ranges.
# Sources of the lists: IANA IPv4 and IPv6 Special-Purpose Address Registries, and the clouds' documentation of services
# that answer only their own machines, under addresses that look public.
_SPECIAL_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, cloud metadata
            "168.63.129.16/32",  # Azure's wire server: configuration and certificates of the machine
            "172.16.0.0/12",  # private, RFC 1918
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.80.8.124/32",  # metadata of Equinix Metal
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "192.168.0.0/16",  # private, RFC 1918
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_UNICAST_IPV6 = IPv6Network("2000::/3")  # all that IANA has allocated; excludes ::, ::1, ULA, NAT64 and multicast
_SPECIAL_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "3fff::/20",  # documentation
        ),
    )
)
_ISATAP = 0x00005EFE  # interface identifiers [02]00:5EFE:a.b.c.d contain an IPv4 address (RFC 5214, section 6.1)


def may_dial(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether a connection to `address` is permitted: it is public, or in one of the `allowed` networks.

    An IPv4-mapped IPv6 address is treated as the IPv4 address that it contains.
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return _is_public(address) or any(address in network for network in allowed)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    interface = int(address) >> 32 & 0xFFFFFFFF
    return (
        address in _UNICAST_IPV6
        and not any(address in network for network in _SPECIAL_IPV6)
        and interface & ~0x02000000 != _ISATAP
    )
