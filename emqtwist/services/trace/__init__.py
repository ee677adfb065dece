"""Traces: what goes over connections, in one line a packet, for those that an operator has chosen, and for a while."""
from emqtwist.services.trace.trace import ADDRESS, CLIENT, TOPIC, Bounds, Trace
from emqtwist.services.trace.traces import NotTraced, Traces

__all__ = ["ADDRESS", "CLIENT", "TOPIC", "Bounds", "NotTraced", "Trace", "Traces"]
