"""What a reload applies, and what it only names."""
from emqtwist.config import Config, apply_live, live_changes, parse

OLD = parse("""
[mqtt]
max_packet_size = 64KB
[mqtt.mqueue]
type = priority
priority = a=1
[log.level]
mqtt = debug
[listener.tcp.a]
bind = 127.0.0.1:1883
[listener.tcp.b]
bind = 127.0.0.1:1884
""")
NEW = parse("""
[node]
name = other@host
[mqtt]
max_packet_size = 128KB
[mqtt.pubsub]
route_cache = 5
[log]
level = warn
[log.level]
core = error
[listener.tcp.a]
bind = 127.0.0.1:1885
[listener.tcp.c]
bind = 127.0.0.1:1886
""")


def test_nothing_changed_is_nothing_told() -> None:
    assert live_changes(OLD, OLD) == ([], [])


def test_changes_are_told_as_dotted_keys_live_or_not() -> None:
    live, restart = live_changes(OLD, NEW)
    assert set(live) == {"mqtt.max_packet_size", "mqtt.mqueue.type", "mqtt.mqueue.priority", "log.level",
                         "log.level.mqtt", "log.level.core"}
    assert restart == [
        "node.name", "mqtt.pubsub.route_cache", "listener.tcp.a.bind", "listener.tcp.b", "listener.tcp.c"]


def test_live_rows_are_taken_over_and_no_others() -> None:
    applied = apply_live(OLD, NEW)
    assert (applied.mqtt.max_packet_size, applied.mqtt.mqueue, applied.log) == (131072, NEW.mqtt.mqueue, NEW.log)
    assert (applied.node, applied.mqtt.pubsub, applied.listener) == (OLD.node, OLD.mqtt.pubsub, OLD.listener)


def test_after_applying_only_what_needs_a_restart_still_differs() -> None:
    live, restart = live_changes(OLD, NEW)
    assert live_changes(apply_live(OLD, NEW), NEW) == ([], restart)
    assert live_changes(OLD, apply_live(OLD, NEW)) == (live, [])


def test_an_entry_of_a_free_section_can_be_taken_away() -> None:
    assert apply_live(OLD, Config()).log.levels == ()
