"""broker.ini and what it means: `Config`, typed sections with a default for every key.

    config = load("broker.ini")   # or parse(text), or Config(mqtt=MqttSection(max_packet_size=65536))
    config.mqtt.session.max_inflight

The sections' fields are the table itself; docs/configuration.md is generated from it.
"""
from emqtwist.config.access import Access
from emqtwist.config.live import apply_live, live_changes
from emqtwist.config.loading import load, parse, validate
from emqtwist.config.problems import ConfigError, Problem
from emqtwist.config.sections.acl import AclRule, AclSection
from emqtwist.config.sections.auth import AuthSection, ScramSection
from emqtwist.config.sections.cluster import ClusterSection
from emqtwist.config.sections.defence import BackoffSection, FlappingSection
from emqtwist.config.sections.listener import (
    AnyListener,
    ListenerSection,
    PortListener,
    SslListener,
    TcpListener,
    UnixListener,
    WsListener,
    WssListener,
)
from emqtwist.config.sections.log import LogSection
from emqtwist.config.sections.module import (
    ModuleSection,
    PresenceModule,
    RetainerModule,
    RewriteModule,
    SubscriptionModule,
)
from emqtwist.config.sections.mqtt import BrokerSection, ClientSection, MqttSection, MqueueSection, PubsubSection, SessionSection
from emqtwist.config.sections.node import NodeSection
from emqtwist.config.sections.overload import OverloadSection
from emqtwist.config.sections.pooler import PoolerSection
from emqtwist.config.sections.retainer import RetainerSection
from emqtwist.config.sections.store import StoreSection
from emqtwist.config.sections.sysmon import SysmonSection
from emqtwist.config.sections.websocket import WebSocketRows
from emqtwist.config.tree import Config
from emqtwist.config.values import Address, SocketFile

__all__ = [
    "Access", "AclRule", "AclSection", "Address", "AnyListener", "AuthSection", "BackoffSection", "BrokerSection",
    "ClientSection", "ClusterSection", "Config", "ConfigError", "FlappingSection", "ListenerSection", "LogSection",
    "ModuleSection",
    "MqttSection", "MqueueSection", "NodeSection", "OverloadSection", "PoolerSection", "PortListener", "PresenceModule",
    "Problem", "PubsubSection", "RetainerModule", "RetainerSection", "RewriteModule", "ScramSection", "SessionSection",
    "SocketFile", "SslListener", "StoreSection", "SubscriptionModule", "SysmonSection", "TcpListener", "UnixListener",
    "WebSocketRows", "WsListener", "WssListener",
    "apply_live", "live_changes", "load", "parse", "validate",
]
