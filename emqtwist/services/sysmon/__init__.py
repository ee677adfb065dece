"""The system monitor: what holds the broker up, what the process takes from its machine, and which clients are slow."""
from emqtwist.services.sysmon.monitor import Monitor

__all__ = ["Monitor"]
