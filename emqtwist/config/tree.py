"""The whole configuration: a dotted key of broker.ini is a path of attributes here."""
from dataclasses import dataclass

from emqtwist.config.rows import named
from emqtwist.config.sections.acl import AclSection
from emqtwist.config.sections.auth import AuthSection
from emqtwist.config.sections.bridge import BridgeSection
from emqtwist.config.sections.cluster import ClusterSection
from emqtwist.config.sections.ctl import CtlSection
from emqtwist.config.sections.defence import FlappingSection
from emqtwist.config.sections.listener import ListenerSection
from emqtwist.config.sections.log import LogSection
from emqtwist.config.sections.module import ModuleSection
from emqtwist.config.sections.mqtt import MqttSection
from emqtwist.config.sections.node import NodeSection
from emqtwist.config.sections.overload import OverloadSection
from emqtwist.config.sections.pooler import PoolerSection
from emqtwist.config.sections.retainer import RetainerSection
from emqtwist.config.sections.store import StoreSection
from emqtwist.config.sections.sysmon import SysmonSection
from emqtwist.config.sections.trace import TraceSection


@dataclass(frozen=True, kw_only=True)
class Config:
    """All sections; `Config()` is what holds without a file: a broker for programs on this machine."""

    node: NodeSection = NodeSection()
    ctl: CtlSection = CtlSection()
    cluster: ClusterSection = ClusterSection()
    bridge: tuple[BridgeSection, ...] = named(BridgeSection)
    store: StoreSection = StoreSection()
    log: LogSection = LogSection()
    mqtt: MqttSection = MqttSection()
    retainer: RetainerSection = RetainerSection()
    module: ModuleSection = ModuleSection()
    acl: AclSection = AclSection()
    auth: AuthSection = AuthSection()
    flapping: FlappingSection = FlappingSection()
    pooler: PoolerSection = PoolerSection()
    sysmon: SysmonSection = SysmonSection()
    trace: TraceSection = TraceSection()
    overload: OverloadSection = OverloadSection()
    listener: ListenerSection = ListenerSection()
