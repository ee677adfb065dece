"""Bugs that lying clients have to find."""
from typing import Final

from tests.harness.planting import Bug

UNKNOWN_PROPERTY: Final = Bug("an unknown property is a defect", "mqtt.properties:decode_properties",
                              "_BY_IDENTIFIER.get(data[pos])", "_BY_IDENTIFIER[data[pos]]")
LEAK: Final = Bug("a megabyte for each connection", "core.connection:Connection.end",
                  "self.state = CLOSED", "self.state = CLOSED; SHORT[len(SHORT) + 100] = b'x' * 1_000_000")
STAYS_OPEN: Final = Bug("a broken packet is ignored", "core.receive:_broken", "connection.fail(error)", "pass")
TAKES_OTHERS_ALONG: Final = Bug(
    "one client's error ends another's connection", "core.connection:Connection.fail",
    "self.end(causes.end_cause(error.reason_code), error.reason)",
    "self.end('', ''); [link.end('', '') for link in list(self.broker.links)]")
STALE_LINK: Final = Bug("a closed connection is kept", "core.connection:Connection.end", "del broker.links[self]", "pass")
STALE_ROUTE: Final = Bug("a session's filters outlive it", "core.subscriptions:Write.run",
                         "self._tables.remove(self._subscription, self._held)", "pass")
NOT_UTF_8: Final = Bug("Authentication Data that is no text is a defect", "access.scram:_text",
                       "except UnicodeDecodeError", "except ZeroDivisionError")
OUT_OF_TURN: Final = Bug("an AUTH out of turn is a defect", "core.authenticating:authenticate_again",
                         "if exchange.conversation is not None:", "if True:")
BUGS: Final = {bug.name: bug for bug in (UNKNOWN_PROPERTY, LEAK, STAYS_OPEN, TAKES_OTHERS_ALONG, STALE_LINK,
                                         STALE_ROUTE, NOT_UTF_8, OUT_OF_TURN)}
