"""From the configuration to the methods of enhanced authentication."""
import os
from dataclasses import replace
from secrets import token_urlsafe

from emqtwist.app import credentials, secured
from emqtwist.config import Config
from emqtwist.core.access import Method

NONCE_SIZE = 24


def located(config: Config, folder: str) -> Config:
    """`config` with the paths that start at `folder` made absolute."""
    def at(path: str) -> str:
        return path and os.path.join(folder, path)

    auth, mqtt = config.auth, config.mqtt
    ssl = tuple(credentials.located(section, folder) for section in config.listener.ssl)
    wss = tuple(credentials.located(section, folder) for section in config.listener.wss)
    return replace(
        config,
        cluster=secured.located(config.cluster, folder),
        bridge=tuple(secured.located(section, folder) for section in config.bridge),
        mqtt=replace(mqtt, acl_file=at(mqtt.acl_file)),
        auth=replace(auth, scram=replace(auth.scram, file=at(auth.scram.file)), file=replace(auth.file, path=at(auth.file.path)),
                     clientid=replace(auth.clientid, path=at(auth.clientid.path)),
                     sqlite=replace(auth.sqlite, path=at(auth.sqlite.path))),
        listener=replace(config.listener, ssl=ssl, wss=wss))


def methods_of(config: Config) -> dict[str, Method]:
    """The methods by name. Reads their files; raises ConfigError for a bad one."""
    scram = config.auth.scram
    if not scram.file:
        return {}
    from emqtwist.access.scram import Scram  # only now: what it imports is large
    from emqtwist.access.verifiers import METHOD, read_verifiers
    return {METHOD: Scram(read_verifiers(scram.file), scram.iterations, _nonce)}


def _nonce() -> str:
    return token_urlsafe(NONCE_SIZE)
