"""What `twistd --help` lists: the broker. There is no `__init__.py` beside this file or above it: they are Twisted's."""
from twisted.application.service import ServiceMaker

emqtt = ServiceMaker("emqtt", "emqtwist.app", "An MQTT broker", "emqtt")
