"""From the configuration to the access rules."""
from typing import Final

from emqtwist.access.aclfile import read_rules
from emqtwist.access.aclini import rules_of
from emqtwist.config import Config, ConfigError
from emqtwist.core.acl import Acl
from emqtwist.core.alarm import ERROR
from emqtwist.core.alarms import Alarms

ALARM: Final = "acl_invalid"


def acl_of(config: Config) -> Acl | None:
    """The rules in force, None where there are none. Reads their file; raises ConfigError for a bad one."""
    if not config.mqtt.acl_file and not config.acl.rule:
        return None
    rules = rules_of(config.acl)
    if config.mqtt.acl_file:
        rules += read_rules(config.mqtt.acl_file)
    return Acl(rules, config.mqtt.acl_nomatch == "allow")


def read_again(config: Config, alarms: Alarms) -> Acl | None:
    """The same while the broker runs. As long as the rules are bad, there is an alarm: older ones hold."""
    try:
        acl = acl_of(config)
    except ConfigError as error:
        _warn(alarms, error)
        raise
    alarms.clear(ALARM)
    return acl


def note_mistakes(error: ConfigError, alarms: Alarms) -> None:
    """The same alarm for a configuration that cannot be read, where mistakes are in the sections of access rules."""
    if any(problem.section.partition(".")[0] == "acl" for problem in error.problems):
        _warn(alarms, error)


def _warn(alarms: Alarms, error: ConfigError) -> None:
    alarms.raise_(ALARM, ERROR, "the access rules cannot be read", f"the old ones hold: {error}")
