"""delayed: what is published to `$delayed/{seconds}/{topic}` is published to the topic so many seconds later.

`core.delayed` has these messages, whether the module is loaded or not.
"""
from emqtwist.config.sections.module import ModuleSection
from emqtwist.core.broker import Broker
from emqtwist.core.observer import Observers
from emqtwist.services.modules import Module


class Delayed(Module):
    name = "delayed"
    description = "Publishes later what is published below $delayed/"

    def __init__(self, broker: Broker, observers: Observers) -> None:
        super().__init__(broker.hooks, observers)
        self._delayed = broker.delayed

    def take(self, section: ModuleSection) -> bool:
        """Before its part runs, what is published from inside the process is delayed already."""
        self._delayed.max_messages = section.delayed.max_message_num
        self._delayed.max_bytes = section.delayed.max_bytes
        self._delayed.open = section.delayed.enable
        return section.delayed.enable

    def add(self) -> None:
        self._delayed.open = True

    def stop(self) -> None:
        super().stop()
        self._delayed.open = False
