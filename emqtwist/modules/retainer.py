"""retainer: messages are kept for those who subscribe later; `core.retained` has them, whether the module is loaded or not."""
from emqtwist.config.sections.module import ModuleSection
from emqtwist.core.broker import Broker
from emqtwist.core.observer import Observers
from emqtwist.services.modules import Module


class Retainer(Module):
    name = "retainer"
    description = "Keeps retained messages for those who subscribe later"

    def __init__(self, broker: Broker, observers: Observers) -> None:
        super().__init__(broker.hooks, observers)
        self._retained = broker.retained

    def take(self, section: ModuleSection) -> bool:
        """Before its part runs, what is retained from inside the process is kept already."""
        self._retained.closed = not section.retainer.enable
        return section.retainer.enable

    def add(self) -> None:
        self._retained.closed = False

    def stop(self) -> None:
        super().stop()
        self._retained.closed = True
