"""From the configuration to certificates of links with other nodes: those of the cluster, and those that bridges have."""
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from emqtwist.cluster.tls import LinkFiles, LinkTls
from emqtwist.config import Config, ConfigError, Problem
from emqtwist.config.sections.bridge import BridgeSection
from emqtwist.config.sections.cluster import ClusterSection
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.tls.files import BadFile

CLUSTER = "cluster"  # the label of its files
S = TypeVar("S", ClusterSection, BridgeSection)


def label_of(bridge: str) -> str:
    """That of the files of a bridge."""
    return f"bridge.{bridge}"


def located(section: S, folder: str) -> S:
    """`section` with the paths that start at `folder` made absolute."""
    files = (path and os.path.join(folder, path) for path in (section.certificate, section.private_key, section.ca))
    certificate, private_key, ca = files
    return replace(section, certificate=certificate, private_key=private_key, ca=ca)


def _sections(config: Config) -> Iterator[tuple[str, ClusterSection | BridgeSection]]:
    yield CLUSTER, config.cluster
    for section in config.bridge:
        yield label_of(section.name), section


def link_files_of(config: Config) -> dict[str, LinkFiles]:
    """By label, of those that have some. Reads them; ConfigError tells of all bad ones."""
    found: dict[str, LinkFiles] = {}
    problems: list[Problem] = []
    for label, section in _sections(config):
        if section.certificate:
            try:
                found[label] = LinkFiles(section.certificate, section.private_key, section.ca)
            except BadFile as error:
                problems.append(Problem(str(error), section=label, key=error.key))
    if problems:
        raise ConfigError(problems)
    return found


def tls_of(credentials: Mapping[str, Credentials[LinkFiles]], label: str) -> LinkTls | None:
    """What connections need that go by the files of this label, None where there are none."""
    found = credentials.get(label)
    return None if found is None else LinkTls(found)
