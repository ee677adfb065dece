"""The `twistd` command `emqtt`: its options, and the service it makes."""
import os
import signal
import sys
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from emqtwist.app.service import BrokerService
from emqtwist.config import Config, ConfigError, load

class Options(UsageOptions):
    """Command line of `twistd emqtt`."""

    synopsis = "[options]"
    longdesc = "An MQTT 3.1, 3.1.1 and 5.0 broker. Without --config it listens at 127.0.0.1:1883."
    optParameters = [
        ["config", "c", None, "Configuration file (broker.ini)."],
        ["port", "p", None, "Port at 127.0.0.1 instead of the configured listeners."],
    ]
    optFlags = [["check", None, "Check the configuration, print what is wrong with it, and exit."]]
