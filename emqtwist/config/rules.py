"""What must hold between rows: each rule gives the conflicts that it sees."""
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from emqtwist.config.access import Access
from emqtwist.config.sections.listener import AnyListener
from emqtwist.config.sections.tls import TlsRows
from emqtwist.config.sections.websocket import WebSocketRows
from emqtwist.config.tree import Config
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter


@dataclass(frozen=True)
class Conflict:
    """Values that are good alone but not together: dotted keys, the one to blame first, and why."""

    keys: tuple[str, ...]
    message: str


def conflicts(config: Config) -> Iterator[Conflict]:
    """All conflicts within a configuration."""
    for rule in (watermarks, priorities, public_listeners, authenticators, listener_addresses, listener_names,
                 listener_certificates, names_from_certificates, names_from_proxies, websocket_messages,
                 commands_over_tcp, acl_reasons, authorizers, nodes, bridges):
        yield from rule(config)


def watermarks(config: Config) -> Iterator[Conflict]:
    """An alarm is cleared below the level that raised it."""
    if config.mqtt.mqueue.low_watermark >= config.mqtt.mqueue.high_watermark:
        yield Conflict(("mqtt.mqueue.low_watermark", "mqtt.mqueue.high_watermark"),
                       "mqtt.mqueue.low_watermark must be below mqtt.mqueue.high_watermark")


def priorities(config: Config) -> Iterator[Conflict]:
    """Nothing is configured in vain."""
    if config.mqtt.mqueue.priority and config.mqtt.mqueue.type != "priority":
        yield Conflict(("mqtt.mqueue.priority", "mqtt.mqueue.type"),
                       "priorities have no effect unless mqtt.mqueue.type = priority")


def public_listeners(config: Config) -> Iterator[Conflict]:
    """Who opens the broker to other machines says in words whom it lets in."""
    for listener in config.listener.all():
        if isinstance(listener, TlsRows) and listener.knows_all and listener.peer_cert_as_username != "off":
            continue  # an authority tells, or a key
        if not listener.bind.is_loopback() and config.mqtt.allow_anonymous == "loopback" and not authenticates(config, listener):
            yield Conflict(
                (f"listener.{listener.label}.bind", "mqtt.allow_anonymous"),
                "other machines can connect here, and there is no authentication to tell who they are: listen at "
                "127.0.0.1, or say in [auth] whom to ask, or name a file in [auth.scram], or write allow_anonymous = on in "
                "[mqtt] to let everybody in")


def authenticates(config: Config, listener: AnyListener) -> bool:
    """Whether clients of a listener can prove who they are."""
    own = listener.authenticators
    return bool(config.auth.scram.file or (config.auth.order if own is None else own))


def authenticators(config: Config) -> Iterator[Conflict]:
    """Who is asked has what it needs to answer."""
    needs = {"file": ("auth.file.path", config.auth.file.path), "clientid": ("auth.clientid.path", config.auth.clientid.path),
             "sqlite": ("auth.sqlite.path", config.auth.sqlite.path),
             "http": ("auth.http.auth_req", config.auth.http.auth_req),
             "python": ("auth.python.object", config.auth.python.object)}
    lists = {"auth.order": config.auth.order}
    lists |= {f"listener.{each.label}.authenticators": each.authenticators or () for each in config.listener.all()}
    for written, names in lists.items():
        for name in names:
            key, value = needs.get(name, ("", "nothing"))
            if not value:
                yield Conflict((written, key), f"{name} needs {key}")


def listener_addresses(config: Config) -> Iterator[Conflict]:
    """The system lets only one listener have an address."""
    for first, second in combinations(config.listener.all(), 2):
        if first.bind.overlaps(second.bind):
            yield Conflict((f"listener.{second.label}.bind", f"listener.{first.label}.bind"),
                           f"listener.{first.label} has this address already ({first.bind})")


def listener_names(config: Config) -> Iterator[Conflict]:
    """Names tell listeners of one type apart; only a configuration made by a program can get this wrong."""
    for first, second in combinations(config.listener.all(), 2):
        if first.label == second.label:
            yield Conflict((f"listener.{second.label}.bind",), f"two listeners are called {second.label}")


def listener_certificates(config: Config) -> Iterator[Conflict]:
    """Each certificate has its key, and who asks clients for theirs says whom to believe."""
    for listener in config.listener.all():
        if isinstance(listener, TlsRows):
            for key, others, message in _certificate_problems(listener):
                yield Conflict(tuple(f"listener.{listener.label}.{each}" for each in (key, *others)), message)


def _certificate_problems(listener: TlsRows) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Keys of its section, the one to blame first, and what is wrong."""
    if not listener.certfile and not listener.psk_file:
        yield "certfile", ("psk_file",), "a listener with TLS needs certfile and keyfile, or psk_file"
    for key, asked in (("certfile", listener.certfile != ()), ("verify", listener.verify != "none")):
        if asked and listener.psk_file:
            yield key, ("psk_file",), "a listener with psk_file has no certificates, and asks for none"
    if len(listener.certfile) != len(listener.keyfile):
        yield "keyfile", ("certfile",), "each file of certfile needs one of keyfile, in the same order"
    if listener.verify != "none" and not listener.cacertfile:
        yield "verify", ("cacertfile",), "to check the certificates of clients, cacertfile must be set"
    for key, used in (("cacertfile", listener.cacertfile), ("crlfile", listener.crlfile)):
        if used and listener.verify == "none":
            yield key, ("verify",), "has no effect unless verify = optional or verify = require"


def names_from_certificates(config: Config) -> Iterator[Conflict]:
    """Where a user name is to come from a certificate, there can be one with such a name."""
    for listener in config.listener.all():
        key = f"listener.{listener.label}.peer_cert_as_username"
        if listener.superusers and listener.peer_cert_as_username == "off":
            yield Conflict((f"listener.{listener.label}.superusers", key),
                           "has no effect unless peer_cert_as_username says where names are")
        if isinstance(listener, TlsRows) and listener.psk_file and listener.peer_cert_as_username not in ("off", "cn"):
            yield Conflict((key, f"listener.{listener.label}.psk_file"),
                           "the identity of a key is a Common Name: peer_cert_as_username = cn")
        if listener.peer_cert_as_username == "off" or (isinstance(listener, TlsRows) and listener.knows_some):
            continue
        if listener.proxy_protocol not in ("v2", "any"):
            needs = "verify = optional or verify = require, a psk_file, or " if isinstance(listener, TlsRows) else ""
            yield Conflict((key, f"listener.{listener.label}.proxy_protocol"),
                           f"has no effect without {needs}a proxy that tells the name: proxy_protocol = v2")
        elif listener.peer_cert_as_username != "cn":
            yield Conflict((key,), "a proxy tells the Common Name alone: peer_cert_as_username = cn")


def names_from_proxies(config: Config) -> Iterator[Conflict]:
    """Who tells the names of clients is somebody who may."""
    for listener in config.listener.all():
        tells = listener.peer_cert_as_username != "off" and listener.proxy_protocol in ("v2", "any")
        if tells and listener.proxy_protocol_from == Access() and not listener.bind.is_loopback():
            yield Conflict((f"listener.{listener.label}.proxy_protocol_from", f"listener.{listener.label}.proxy_protocol"),
                           "whoever can connect could claim any name: write where proxies are, as allow 10.0.0.5, deny all")


def websocket_messages(config: Config) -> Iterator[Conflict]:
    """A packet that may come can come."""
    for listener in config.listener.all():
        if isinstance(listener, WebSocketRows) and listener.max_message_size < config.mqtt.max_packet_size:
            yield Conflict((f"listener.{listener.label}.max_message_size", "mqtt.max_packet_size"),
                           "a WebSocket message has to hold the largest packet: mqtt.max_packet_size is larger")


def commands_over_tcp(config: Config) -> Iterator[Conflict]:
    """Commands come from who knows the secret, and nobody on the way can read or change them."""
    ctl = config.ctl
    if bool(ctl.certificate) != bool(ctl.private_key):
        missing = "ctl.private_key" if ctl.certificate else "ctl.certificate"
        yield Conflict(("ctl.certificate", "ctl.private_key"), f"{missing} must be set, too")
    if ctl.bind is not None and not ctl.secret:
        yield Conflict(("ctl.bind", "ctl.secret"), "commands over TCP need ctl.secret")
    if ctl.bind is not None and not ctl.bind.is_loopback() and not ctl.certificate:
        yield Conflict(("ctl.bind", "ctl.certificate"),
                       "other machines can connect here: ctl.certificate and ctl.private_key must be set")


def acl_reasons(config: Config) -> Iterator[Conflict]:
    """Nothing is configured in vain."""
    for rule in config.acl.rule:
        if rule.action.startswith("allow") and rule.reason != "not_authorized":
            yield Conflict((f"acl.rule.{rule.name}.reason", f"acl.rule.{rule.name}.action"),
                           "a rule that allows has no reason to tell")


def authorizers(config: Config) -> Iterator[Conflict]:
    """Who is asked what clients may do has what it needs to answer, and no rule is written in vain."""
    needs = {"sqlite": ("auth.sqlite.path", config.auth.sqlite.path), "http": ("auth.http.acl_req", config.auth.http.acl_req),
             "python": ("acl.python.object", config.acl.python.object)}
    for name in config.acl.order:
        key, value = needs.get(name, ("", name))
        if not value:
            yield Conflict(("acl.order", key), f"{name} needs {key}")
    if "rules" not in config.acl.order and (config.mqtt.acl_file or config.acl.rule):
        yield Conflict(("acl.order", "mqtt.acl_file"), "there are access rules, but rules is not in acl.order")


def nodes(config: Config) -> Iterator[Conflict]:
    """Nodes can prove who they are, tell each other where they are, and are not missed too early."""
    cluster = config.cluster
    files = {"cluster.certificate": cluster.certificate, "cluster.private_key": cluster.private_key, "cluster.ca": cluster.ca}
    missing = [key for key, path in files.items() if not path]
    if missing and len(missing) < len(files):
        yield Conflict((*(key for key in files if key not in missing), *missing), f"{missing[0]} must be set, too")
    if cluster.bind is not None and not cluster.cookie and missing:
        yield Conflict(("cluster.bind", "cluster.cookie"), "a node proves what it is by cluster.cookie, or by a certificate")
    if cluster.seeds and cluster.discovery != "static":
        yield Conflict(("cluster.seeds", "cluster.discovery"), "has no effect unless discovery = static")
    if cluster.timeout < 2 * cluster.heartbeat:
        yield Conflict(("cluster.timeout", "cluster.heartbeat"), "must be twice cluster.heartbeat or more")


def bridges(config: Config) -> Iterator[Conflict]:
    """Bridges lead to other nodes, can prove that they may, and no message crosses two of them to the same one."""
    cluster = config.cluster
    for bridge in config.bridge:
        key = f"bridge.{bridge.name}"
        files = {f"{key}.certificate": bridge.certificate, f"{key}.private_key": bridge.private_key, f"{key}.ca": bridge.ca}
        missing = [name for name, path in files.items() if not path]
        if missing and len(missing) < len(files):
            yield Conflict((*(name for name in files if name not in missing), *missing), f"{missing[0]} must be set, too")
        if not bridge.cookie and not cluster.cookie and missing and not cluster.certificate:
            yield Conflict((f"{key}.node", f"{key}.cookie"), "a bridge proves that it may cross by a cookie, or by a certificate")
        if bridge.node == config.node.name:
            yield Conflict((f"{key}.node", "node.name"), "a bridge to itself")
        try:
            check_topic_filter(bridge.topic.encode(), 0)
        except MQTTError as error:
            yield Conflict((f"{key}.topic",), error.reason)
    for first, second in combinations(config.bridge, 2):
        if (first.node, first.topic) == (second.node, second.topic):
            yield Conflict((f"bridge.{second.name}.topic", f"bridge.{first.name}.topic"),
                           f"bridge.{first.name} leads there already")
