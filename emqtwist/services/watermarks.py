"""A queue above its high watermark is an alarm until it is below the low one, or gone."""
from emqtwist.core.alarm import WARNING
from emqtwist.core.alarms import Alarms
from emqtwist.core.observer import Observer


class Watermarks(Observer):
    """Makes alarms of what the queues tell."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    def queue_filling(self, client_id: str, length: int) -> None:
        self._alarms.raise_(f"queue_high_watermark/{client_id}", WARNING, f"the queue of {client_id} is filling",
                            f"{length} messages wait for {client_id}, above the high watermark")

    def queue_relieved(self, client_id: str, length: int) -> None:
        self._alarms.clear(f"queue_high_watermark/{client_id}")
