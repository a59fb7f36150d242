"""Networks: what is one, and who is inside."""

import pytest

from nightdrop.networks import is_inside, parse_network


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.3.0", "2001:db8::1", "-", ""]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]),
        ("2001:db8::/48", ["2001:db8::1"], ["2001:db8:1::1", "192.0.2.7"]),
        ("fe80::/10", ["fe80::1%eth0"], ["::1"]),
    ],
)
def test_who_is_inside(text: str, inside: list[str], outside: list[str]) -> None:
    network = parse_network(text)
    assert all(is_inside(address, [network]) for address in inside)
    assert not any(is_inside(address, [network]) for address in outside)


def test_bits_beyond_the_prefix_are_refused_with_what_may_be_meant() -> None:
    with pytest.raises(ValueError, match=r"192\.0\.2\.0/24 is one"):
        parse_network("192.0.2.7/24")


@pytest.mark.parametrize("text", ["", "example.org", "192.0.2.0/33", "192.0.2", "1.2.3.4/24/8"])
def test_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="is not a network"):
        parse_network(text)
