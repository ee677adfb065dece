"""slow_subs: subscribers whose messages take longest are ranked. While it is not loaded, nothing is noted and nothing paid."""
from emqtwist.config.sections.module import ModuleSection, SlowSubsModule
from emqtwist.core.broker import Broker
from emqtwist.core.hooks import MESSAGE_ACKED, MESSAGE_DELIVERED, MESSAGE_PUBLISH, SESSION_TERMINATED
from emqtwist.core.observer import Observers
from emqtwist.services.modules import Module
from emqtwist.services.slowness import LAST, Slowness


class SlowSubs(Module):
    name = "slow_subs"
    description = "Ranks subscribers whose messages take long"

    def __init__(self, broker: Broker, observers: Observers, slowness: Slowness) -> None:
        super().__init__(broker.hooks, observers)
        self._slowness = slowness
        self._rules = SlowSubsModule()

    def take(self, section: ModuleSection) -> bool:
        self._rules = section.slow_subs
        self._slowness.configure(self._rules)
        return self._rules.enable

    def add(self) -> None:
        self.hook(MESSAGE_PUBLISH, self._slowness.published, LAST)
        self.hook(MESSAGE_DELIVERED, self._slowness.delivered)
        if self._rules.stats_type == "whole":
            self.hook(MESSAGE_ACKED, self._slowness.delivered)
        self.hook(SESSION_TERMINATED, self._slowness.ended)

    def stop(self) -> None:
        super().stop()
        if not self._rules.enable:
            self._slowness.table.clear()
