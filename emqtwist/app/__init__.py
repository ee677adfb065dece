"""The whole broker as a Twisted service, and as the `twistd` command `emqtt`."""
from emqtwist.app.command import Options, makeService
from emqtwist.app.service import BrokerService

__all__ = ["BrokerService", "Options", "makeService"]
