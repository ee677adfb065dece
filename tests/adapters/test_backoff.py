"""[auth.backoff]: no connection is taken from an address from which too many logins fail, for a while."""
from twisted.internet.address import IPv4Address

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect
from tests.desks import Desk
from tests.wires import Caller

ON = "auth.backoff.max_failures = 2"


class Guesser:
    """Somebody who guesses passwords."""

    def __init__(self, *lines: str) -> None:
        self.desk = Desk(*lines)
        self.desk.service.hooks.add("client.authenticate", lambda *arguments: False)
        self.listener = self.desk.service.listeners["default"]

    def guess(self, times: int) -> None:
        for _ in range(times):
            caller = Caller(self.listener.factory, self.desk.reactor)
            caller.send(Connect(c.MQTT_5_0, "a", user_name="al", password=b"wrong"))
            assert caller.one(Connack).reason_code == c.BAD_USER_NAME_OR_PASSWORD

    def refused(self, host: str = "127.0.0.1") -> bool:
        return not self.listener.admission.admits(IPv4Address("TCP", host, 5000))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.desk.reactor.advance(1)
            self.desk.service.tick()

    def pause(self) -> int:
        """How many seconds until the address is not refused any more."""
        for seconds in range(1000):
            if not self.refused():
                return seconds
            self.wait(1)
        raise AssertionError("it is refused for ever")


def test_auth_backoff_max_failures() -> None:
    alice = Guesser(ON)
    alice.guess(1)
    assert not alice.refused()
    alice.guess(1)
    assert (alice.refused(), alice.refused("127.0.0.2")) == (True, False)
    assert "  refused_count   : [{login_backoff,1}]" in alice.desk.lines("listeners")


def test_auth_backoff_window_time() -> None:
    alice = Guesser(ON, "auth.backoff.window_time = 10s")
    alice.guess(1)
    alice.wait(10)
    alice.guess(1)
    assert not alice.refused()
    alice.wait(9)
    alice.guess(1)
    assert alice.refused()


def test_auth_backoff_first_pause() -> None:
    alice = Guesser(ON, "auth.backoff.first_pause = 7s")
    alice.guess(2)
    assert alice.pause() == 7
    alice.guess(2)
    assert alice.pause() == 14


def test_auth_backoff_longest_pause() -> None:
    alice = Guesser(ON, "auth.backoff.longest_pause = 8s")
    alice.guess(2)
    assert alice.pause() == 5
    alice.guess(2)
    assert alice.pause() == 8


def test_it_is_off_by_default() -> None:
    alice = Guesser()
    alice.guess(50)
    assert not alice.refused()
