"""Network namespaces as machines: a switch, and what is plugged into it. As root only."""
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def ip(*words: str, inside: str = "") -> None:
    """A command of iproute2, in a namespace if one is named."""
    subprocess.run(["ip", *(["-n", inside] if inside else []), *words], check=True, capture_output=True, timeout=10)


class Machines:
    """`hosts` are their addresses by name. Each hears of the others by its cable to the switch."""

    def __init__(self, *names: str) -> None:
        self._own = f"emqtwist-{os.getpid()}-"
        self._switch = self._own + "switch"
        self.hosts = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}

    def set_up(self) -> None:
        self._add(self._switch)
        ip("link", "add", "switch", "type", "bridge", inside=self._switch)
        ip("link", "set", "switch", "up", inside=self._switch)
        for name, host in self.hosts.items():
            machine = self._own + name
            self._add(machine)
            ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "cable", "netns", machine, inside=self._switch)
            ip("link", "set", f"to-{name}", "master", "switch", inside=self._switch)
            ip("address", "add", f"{host}/24", "dev", "cable", inside=machine)
            ip("link", "set", "cable", "up", inside=machine)
            self.plug_in(name)

    def _add(self, namespace: str) -> None:
        ip("netns", "add", namespace)
        ip("link", "set", "lo", "up", inside=namespace)

    def tear_down(self) -> None:
        for namespace in (*(self._own + name for name in self.hosts), self._switch):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, timeout=10)

    def within(self, name: str) -> list[str]:
        """What runs a command on this machine."""
        return ["ip", "netns", "exec", self._own + name]

    def plug_in(self, name: str) -> None:
        ip("link", "set", f"to-{name}", "up", inside=self._switch)

    def unplug(self, name: str) -> None:
        """Nothing comes to it or from it, and nobody is told."""
        ip("link", "set", f"to-{name}", "down", inside=self._switch)

    def mute(self, name: str, towards: str) -> None:
        """Nothing from it comes to another, which still comes to it."""
        ip("route", "add", "blackhole", self.hosts[towards], inside=self._own + name)

    def unmute(self, name: str, towards: str) -> None:
        ip("route", "delete", "blackhole", self.hosts[towards], inside=self._own + name)


@contextmanager
def machines(*names: str) -> Iterator[Machines]:
    """Machines that are gone at the end; OSError or CalledProcessError where this process may not make any."""
    made = Machines(*names)
    try:
        made.set_up()
        yield made
    finally:
        made.tear_down()
