"""presence: it is published below `$SYS` who comes and who goes, under emqttd's topics and in its words."""
from emqtwist.config.sections.module import ModuleSection, PresenceModule
from emqtwist.core.hooks import Hooks
from emqtwist.core.observer import Observer, Observers
from emqtwist.services.modules import Module
from emqtwist.services.systopics import NO_ONE, SysTopics, Told, quoted


class Presence(Module, Observer):
    name = "presence"
    description = "Publishes below $SYS who comes and who goes"

    def __init__(self, hooks: Hooks, observers: Observers, systopics: SysTopics) -> None:
        super().__init__(hooks, observers)
        self._section = PresenceModule()
        self._systopics = systopics

    def take(self, section: ModuleSection) -> bool:
        self._section = section.presence
        return self._section.enable

    def add(self) -> None:
        self.watch(self)

    def connected(self, client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool,
                  session_present: bool) -> None:
        if self._systopics.is_heard():
            event = (client_id, user_name, peer, version, clean_start, self._systopics.wall())
            self._systopics.tell_soon(arrival, event, self._section.qos)

    def departed(self, client_id: str, user_name: str | None, cause: str) -> None:
        if self._systopics.is_heard():
            self._systopics.tell_soon(departure, (client_id, user_name, cause, self._systopics.wall()), self._section.qos)


def arrival(client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool, at: float) -> Told:
    return f"clients/{quoted(client_id)}/connected", {
        "clientid": client_id, "username": user_name or NO_ONE, "ipaddress": peer.rpartition(":")[0].strip("[]"),
        "clean_sess": clean_start, "protocol": version, "connack": 0, "ts": int(at)}


def departure(client_id: str, user_name: str | None, cause: str, at: float) -> Told:
    return f"clients/{quoted(client_id)}/disconnected", {
        "clientid": client_id, "username": user_name or NO_ONE, "reason": cause, "ts": int(at)}
