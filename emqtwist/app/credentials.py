"""From the configuration to what listeners with TLS show of themselves."""
import os
from dataclasses import replace
from typing import Final, TypeVar

from emqtwist.config import Config, ConfigError, Problem
from emqtwist.config.sections.tls import TlsRows
from emqtwist.net.tls.files import BadFile
from emqtwist.net.tls.loaded import Loaded

R = TypeVar("R", bound=TlsRows)

PROTOCOLS: Final = {"ssl": ("mqtt",), "wss": ("http/1.1",)}  # that clients may ask for by ALPN


def loaded_of(config: Config) -> dict[str, Loaded]:
    """By the label of the listener. Reads their files; ConfigError tells of all bad ones."""
    found: dict[str, Loaded] = {}
    problems: list[Problem] = []
    for section in config.listener.all():
        if isinstance(section, TlsRows):
            try:
                found[section.label] = Loaded(section, PROTOCOLS[section.kind])
            except BadFile as error:
                problems.append(Problem(str(error), section=f"listener.{section.label}", key=error.key))
    if problems:
        raise ConfigError(problems)
    return found


def located(section: R, folder: str) -> R:
    """`section` with the paths that start at `folder` made absolute."""
    return replace(section, certfile=tuple(os.path.join(folder, path) for path in section.certfile),
                   keyfile=tuple(os.path.join(folder, path) for path in section.keyfile),
                   cacertfile=section.cacertfile and os.path.join(folder, section.cacertfile),
                   crlfile=section.crlfile and os.path.join(folder, section.crlfile),
                   psk_file=section.psk_file and os.path.join(folder, section.psk_file))
