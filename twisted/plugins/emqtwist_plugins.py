"""What `twistd --help` lists: the broker. No `__init__.py` stands beside this file or above it: those are Twisted's."""
from twisted.application.service import ServiceMaker

emqtt = ServiceMaker("emqtt", "emqtwist.app", "An MQTT broker", "emqtt")
emqtt_ctl = ServiceMaker("emqtt-ctl", "emqtwist.ctl.command", "Commands for a running broker", "emqtt-ctl")
