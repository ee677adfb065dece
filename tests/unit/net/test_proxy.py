"""Headers of the PROXY protocol: what they say, in any pieces, and what is refused."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.net.proxy import SIGNATURE, V1_LIMIT, V2_LIMIT, Proxied, ProxyParser, ProxyRefused


def said(header: bytes) -> tuple[str, int, str]:
    proxied = ProxyParser().feed(header)
    assert proxied is not None
    return facts(proxied)


def facts(proxied: Proxied) -> tuple[str, int, str]:
    return proxied.address, proxied.port, proxied.common_name


def addition(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def version_2(block: bytes, family: int = 0x11, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


V4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (4000).to_bytes(2, "big") + (1883).to_bytes(2, "big")


def subject(name: bytes, shown: int = 0x03, verified: int = 0) -> bytes:
    inner = addition(0x21, b"TLSv1.3") + addition(0x22, name)
    return version_2(V4 + addition(0x20, bytes([shown]) + verified.to_bytes(4, "big") + inner))


def test_version_1_gives_the_clients_address_and_port() -> None:
    assert said(b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 1883\r\n") == ("192.0.2.7", 4000, "")
    assert said(b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 1883\r\n") == ("2001:db8::7", 4000, "")


def test_version_2_gives_the_clients_address_and_port() -> None:
    assert said(version_2(V4)) == ("192.0.2.7", 4000, "")
    v6 = IPv6Address("2001:db8::7").packed + IPv6Address("2001:db8::1").packed + V4[8:]
    assert said(version_2(v6, 0x21)) == ("2001:db8::7", 4000, "")


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 whatever\r\n",
        version_2(b"", 0x00, 0x20),
        version_2(V4, 0x11, 0x20),
        version_2(b"\xff" * 9, 0x00),
        version_2(bytes(216), 0x31),
    ],
)
def test_local_and_unknown_leave_the_sockets_own_peer(header: bytes) -> None:
    assert said(header) == ("", 0, "")


def test_the_subject_of_a_verified_certificate_is_given() -> None:
    assert said(subject("Müller".encode())) == ("192.0.2.7", 4000, "Müller")
    assert said(subject(b"resumed", shown=0x05))[2] == "resumed"


@pytest.mark.parametrize(("shown", "over_tls"), [(0x00, False), (0x01, True), (0x03, True), (0x04, True)])
def test_it_is_told_whether_the_client_speaks_tls_with_the_proxy(shown: int, over_tls: bool) -> None:
    proxied = ProxyParser().feed(subject(b"a", shown=shown, verified=1))
    assert proxied is not None
    assert (proxied.over_tls, proxied.certificate) == (over_tls, None)


def test_what_is_known_of_the_certificate_is_its_common_name() -> None:
    for header, name in ((subject(b"lamp"), "lamp"), (version_2(V4), None)):
        proxied = ProxyParser().feed(header)
        assert proxied is not None
        assert (proxied.certificate and proxied.certificate.cn) == name


def test_the_subject_of_no_certificate_or_a_bad_one_is_not_believed() -> None:
    assert said(subject(b"admin", shown=0x01))[2] == ""
    assert said(subject(b"admin", verified=1))[2] == ""


@pytest.mark.parametrize(
    "header",
    [
        b"\x10\x0c\x00\x04MQTT",
        b"GET /mqtt HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4000\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 1883 9\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 4000 1883\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 1883\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 04000 1883\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 1883\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.\xff 4000 1883\r\n",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::1 4000 1883\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 4000 1883\r\n",
        b"PROXY " + b"x" * V1_LIMIT,
        version_2(V4, command=0x11),
        version_2(V4, command=0x22),
        version_2(V4, family=0x12),
        version_2(V4[:11]),
        version_2(V4, family=0x21),
        version_2(V4 + b"\x20"),
        version_2(V4 + b"\x20\x00\x09short"),
        version_2(V4 + addition(0x20, b"\x03\x00")),
        version_2(V4 + addition(0x20, bytes(5)) + addition(0x20, bytes(5))),
        subject(b"\xff"),
        subject(b"ad\x00min"),
        SIGNATURE + b"\x21\x11" + (V2_LIMIT + 1).to_bytes(2, "big"),
    ],
)
def test_a_wrong_header_is_refused(header: bytes) -> None:
    with pytest.raises(ProxyRefused):
        ProxyParser().feed(header)


def test_the_longest_line_is_read_and_one_byte_more_is_not() -> None:
    assert said(b"PROXY UNKNOWN ".ljust(105, b"x") + b"\r\n") == ("", 0, "")
    with pytest.raises(ProxyRefused):
        ProxyParser().feed(b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n")


@given(
    st.one_of(
        st.builds(
            lambda a, p: (f"PROXY TCP4 {a} {a} {p} 1883\r\n".encode(), (str(a), p, "")),
            st.builds(IPv4Address, st.integers(0, 2**32 - 1)),
            st.integers(0, 65_535),
        ),
        st.builds(
            lambda name: (subject(name.encode()), ("192.0.2.7", 4000, name)),
            st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=64),
        ),
    ),
    st.binary(max_size=40),
    st.integers(1, 30),
)
def test_pieces_of_any_size_say_the_same_and_lose_nothing(
    case: tuple[bytes, tuple[str, int, str]], behind: bytes, size: int
) -> None:
    header, expected = case
    sent = header + behind
    parser = ProxyParser()
    for at in range(0, len(sent), size):
        proxied = parser.feed(sent[at : at + size])
        if proxied is not None:
            assert facts(proxied) == expected
            assert parser.rest + sent[at + size :] == behind
            return
    raise AssertionError("the header was never whole")


@given(st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"]), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(start: bytes, noise: bytes) -> None:
    try:
        ProxyParser().feed(start + noise)
    except ProxyRefused:
        pass
