"""Commands about three brokers in processes of their own: who is where, who leaves, who is removed, who is back."""
from pathlib import Path

from emqtwist.mqtt.packets import Disconnect
from tests.integration.cluster.nodes import RunningNode
from tests.integration.cluster.test_nodes import ended

WELL = "".join(f"{check}: ok\n" for check in ("nodes", "links", "versions", "clocks", "members", "tables"))


def status(*running: str, stopped: str = "") -> str:
    names = ",".join(f"'{name}@127.0.0.1'" for name in running)
    stop = f",{{stopped_nodes,['{stopped}@127.0.0.1']}}" if stopped else ""
    return f"Cluster status: [{{running_nodes,[{names}]}}{stop}]\n"


def test_commands_are_answered_for_all_nodes_which_join_leave_and_are_removed(tmp_path: Path) -> None:
    a, b, c = (RunningNode(tmp_path, name) for name in "abc")
    with ended(a, b, c):
        assert b.ask("cluster", "join", a.place) == "Join the cluster successfully.\n" + status("a", "b")
        assert c.ask("cluster", "join", a.place).startswith("Join the cluster successfully.\n")
        c.until_linked(a, b)
        assert a.ask("cluster", "doctor") == WELL

        with a.client("alice") as alice, b.client("bob") as bob:
            assert bob.subscribe(b"t", 1) == [1]
            assert [line.partition(",")[0] for line in c.ask("clients", "list").splitlines()] == ["Client(alice", "Client(bob"]
            assert c.ask("routes", "list") == "t -> b@127.0.0.1\n"
            assert c.ask("clients", "kick", "bob") == ""
            assert bob.next(Disconnect).reason_code == 0x98
            assert c.ask("clients", "show", "bob") == "Not Found.\n"

            assert b.ask("cluster", "leave") == "Leave the cluster successfully.\n" + status("b")
            assert a.ask("cluster", "status").startswith(status("a", "c"))
            assert alice.subscribe(b"u", 1) == [1]  # nobody was dropped

        c.broker.program.kill()
        c.broker.program.ended()
        a.until_said("no link with c@127.0.0.1 any more")
        assert a.ask("clients", "list") == "Node c@127.0.0.1 does not answer: it is down\n"
        assert a.ask("cluster", "status").startswith(status("a", stopped="c"))
        assert a.ask("cluster", "force-leave", c.name).endswith(status("a"))
        c.start()
        c.until_said("linked with a@127.0.0.1")
        c.until_said("alarm cluster_removed/c@127.0.0.1")
        assert c.ask("cluster", "join", a.place) == "Join the cluster successfully.\n" + status("a", "c")
        assert b.ask("cluster", "join", c.place).startswith("Join the cluster successfully.\n")
        b.until_said("linked with a@127.0.0.1")
        assert b.ask("cluster", "doctor") == WELL
