"""From the configuration to the access rules."""
from emqtwist.config import Config
from emqtwist.core.acl import Acl


def acl_of(config: Config) -> Acl | None:
    """The rules in force, None where there are none. Reads their file; raises ConfigError for a bad one."""
    if not config.mqtt.acl_file:
        return None
    from emqtwist.access.aclfile import read_rules  # only now: few need it
    return Acl(read_rules(config.mqtt.acl_file), config.mqtt.acl_nomatch == "allow")
