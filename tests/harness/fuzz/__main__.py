"""`python -m tests.harness.fuzz`: lying clients against a broker process, or against the core alone."""
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from emqtwist.mqtt.constants import MQTT_3_1, MQTT_3_1_1, MQTT_5_0
from tests.harness.fuzz.broker import BrokerFuzz
from tests.harness.fuzz.core import CoreFuzz
from tests.harness.fuzz.sessions import Found

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5_0)


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.harness.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sessions", type=int, default=1000, help="how many for each version")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--version", type=int, choices=VERSIONS, help="the protocol level; all three by default")
    parser.add_argument("--core", action="store_true", help="without sockets, in this process")
    options = parser.parse_args()
    for version in [options.version] if options.version else VERSIONS:
        try:
            print(run(options.core, options.seed, version, options.first, options.sessions))
        except Found as error:
            notes = "\n".join(getattr(error, "__notes__", []))
            raise SystemExit(f"version {version}: {error}\n{notes}") from error.__cause__


def run(core: bool, seed: int, version: int, first: int, sessions: int) -> str:
    """One line about what happened."""
    if core:
        inside = CoreFuzz(seed, version)
        inside.run(first, sessions)
        return f"version {version}: {sessions} sessions, {inside.closed} closed"
    with TemporaryDirectory() as folder:
        outside = BrokerFuzz(seed, version, Path(folder))
        outside.run(first, sessions)
    grown = " → ".join(str(kilobytes) for kilobytes in outside.resident)
    slowest = " → ".join(f"{milliseconds:.2f}" for milliseconds in outside.slowest)
    return (f"version {version}: {sessions} sessions, {outside.closed} closed; the canary exchanged {outside.exchanged} "
            f"messages, p99 {slowest} ms; resident {grown} KB")


if __name__ == "__main__":
    main()
