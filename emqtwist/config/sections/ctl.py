"""[ctl]: where commands for the running broker are taken."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import BIND, TEXT, Address, Text

EFFECTS: Final = "tests/integration/test_ctl.py"


@dataclass(frozen=True, kw_only=True)
class CtlSection:
    """Where `twistd emqtt` takes the commands of `emqtwist_ctl`; an embedded broker takes none."""

    socket: str = row(
        "auto", Text("a path", r"[^\0]+"), words={"auto": "auto", "off": "off"}, test=EFFECTS,
        meaning="Unix socket, its owner's alone. `auto`: `commands.sock` in `node.data_dir`. A relative path starts at the "
                "folder that the broker was started in. `off`: there is none.")
    bind: Address | None = row(
        "off", BIND, words={"off": None}, test=EFFECTS,
        meaning="Where commands are taken over TCP from who knows `secret`; port 0 is one that the system chooses. Other "
                "than at loopback it needs a certificate.")
    secret: str = row(
        "", Text("at least 16 characters", r"(?s:.{16,})?"), secret=True, test=EFFECTS,
        meaning="What a client that comes over TCP has to prove to know; it is never sent. The broker proves it too.")
    certificate: str = row(
        "", TEXT, test=EFFECTS,
        meaning="PEM file with the certificate, and its chain after it: TLS at `bind`. A relative path starts at the folder "
                "that the broker was started in, as for the key.")
    private_key: str = row(
        "", TEXT, test=EFFECTS,
        meaning="PEM file with the private key of the certificate, without a passphrase.")
