"""Where customers may have us connect to."""

from ipaddress import ip_address

import pytest

from chassis.destinations import Refused, check_address, check_host, read_url

INSIDE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "168.63.129.16", "198.18.0.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "2002:7f00:1::",
    "2001:0:7f00:1::", "64:ff9b:1::a9fe:a9fe",
    # An IPv4 address of the inside within one of IPv6.
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
]  # fmt: skip
OUTSIDE = [
    "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "192.167.0.1", "2606:4700::1111",
    "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_the_inside_is_refused(address: str) -> None:
    with pytest.raises(Refused):
        check_address(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_internet_is_not(address: str) -> None:
    check_address(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.0x1", "example.com.127", "0",
        "localhost", "metadata", "metadata.google.internal", "printer.local", "a.localhost.", "a b.com", "-a.com",
        "a..com", "x" * 64 + ".com", "fe80::1%eth0",
        *INSIDE,
    ],
)  # fmt: skip
def test_a_host_that_never_leads_to_the_internet_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        check_host(host)


@pytest.mark.parametrize("host", ["example.com", "EXAMPLE.com.", "a-b.c1.example", "xn--bcher-kva.example", "8.8.8.8"])
def test_a_domain_name_will_do(host: str) -> None:
    check_host(host)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "//example.com", "example.com", "https://", "https:///x",
        "https://user@example.com/", "https://user:p@example.com/", "https://example.com/#x", "https://example.com/#",
        "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/", "https://[::1",
        "https://bücher.example/", "https://example.com/ x", "https://example.com/\n", "https://exa\\mple.com/",
        "https://example.com/" + "x" * 2000, "",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        read_url(url, plain=False)


def test_the_host_is_read_as_it_is_connected_to() -> None:
    assert read_url("https://Example.com:8443/a?b=c%20d", plain=False) == "example.com"
    assert read_url("https://[2606:4700::1111]/", plain=False) == "2606:4700::1111"
    assert read_url("http://127.0.0.1:9/x", plain=True) == "127.0.0.1"
