"""Two brokers and three, in processes of their own, joined over loopback."""
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfile

import pytest

from emqtwist.mqtt.packets import Suback, Subscribe
from tests.authorities import Authority, Pair
from tests.integration.cluster.nodes import COOKIE, RunningNode, heard, publish
from tests.integration.keeping import connect
from tests.integration.program import python_script, run
from tests.integration.raw import RawClient


@contextmanager
def ended(*nodes: RunningNode) -> Iterator[None]:
    """What is done with nodes, which end then."""
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.end)
        yield


def crosses(source: RunningNode, target: RunningNode) -> None:
    """A message of each QoS comes from one node to the other, once each knows that they are linked."""
    source.until_linked(target)
    target.until_linked(source)
    with target.client("reader") as reader, source.client("writer") as writer:
        assert reader.subscribe(b"t", 2) == [2]
        for qos in (0, 1, 2):
            publish(writer, b"%d" % qos, qos)
            assert heard(reader) == (b"%d" % qos, qos)


def test_cluster_bind(tmp_path: Path) -> None:
    a = RunningNode(tmp_path, "a")
    with ended(a):
        b = RunningNode(tmp_path, "b", a)
        with ended(b):
            crosses(a, b)
            crosses(b, a)
            assert "'a@127.0.0.1','b@127.0.0.1'" in b.ask("cluster", "status")


def test_cluster_seeds(tmp_path: Path) -> None:
    a = RunningNode(tmp_path, "a")
    with ended(a):
        b, c = RunningNode(tmp_path, "b", a), RunningNode(tmp_path, "c", a)
        with ended(b, c):
            for node, others in ((a, (b, c)), (b, (a, c)), (c, (a, b))):
                node.until_linked(*others)
            crosses(c, b)
            crosses(b, a)


def test_cluster_discovery(tmp_path: Path) -> None:
    a = RunningNode(tmp_path, "a")
    with ended(a):
        b = RunningNode(tmp_path, "b")
        with ended(b):
            assert "linked" not in "\n".join(a.broker.program.output + b.broker.program.output)
            b.ask("cluster", "join", a.place)
            crosses(a, b)


def test_what_waits_for_a_node_that_was_killed_comes_when_it_is_back(tmp_path: Path) -> None:
    a = RunningNode(tmp_path, "a")
    with ended(a):
        b = RunningNode(tmp_path, "b", a)
        b.until_linked(a)
        with RawClient(b.broker.port) as away:
            connect(away, "away")
            away.send(Subscribe(1, [(b"t", 2)]))
            assert away.next(Suback).reason_codes == [2]
        b.broker.program.kill()
        a.broker.program.next(f"no link with {b.name} any more")
        with a.client("writer") as writer:
            for qos in (1, 2):
                publish(writer, b"while away %d" % qos, qos)
        b.start()
        with ended(b):
            a.broker.program.next(f"linked with {b.name}")
            with RawClient(b.broker.port) as back:
                assert connect(back, "away").session_present
                assert [heard(back), heard(back)] == [(b"while away 1", 1), (b"while away 2", 2)]
            crosses(b, a)


def test_a_node_with_another_cookie_is_refused_and_both_say_why(tmp_path: Path) -> None:
    a = RunningNode(tmp_path, "a")
    with ended(a):
        b = RunningNode(tmp_path, "b", a, lines="cookie = quite another cookie\n")
        with ended(b):
            assert "b@127.0.0.1 does not know that of a@127.0.0.1" in a.until_said("no link with 127.0.0.1: wrong_cookie")
            b.until_said(f"no link with {a.place}: wrong_cookie")
            for node in (a, b):
                node.until_said("alarm cluster_cookie: ")
                assert COOKIE not in "\n".join(node.broker.program.output)
            status, alarms = a.ask("cluster", "status"), a.ask("alarms", "list")
            assert ("Problem(127.0.0.1, cause=wrong_cookie, text=the cookies of the two differ: b@127.0.0.1 does not know that "
                    "of a@127.0.0.1, advice=give both nodes the same cluster.cookie)") in status
            assert "cluster_cookie" in alarms
            assert f"Problem({a.place}, cause=wrong_cookie, text=the cookies of the two differ: it says: " in b.ask(
                "cluster", "status")


def secured(pair: Pair, authority: Authority) -> str:
    return f"certificate = {pair.certfile}\nprivate_key = {pair.keyfile}\nca = {authority.file}\n"


@pytest.mark.parametrize("cookie", ["", f"cookie = {COOKIE}\n"])
def test_cluster_certificate(tmp_path: Path, cookie: str) -> None:
    authority = Authority(tmp_path)
    a = RunningNode(tmp_path, "a", lines=cookie + secured(authority.issue("one"), authority))
    with ended(a):
        b = RunningNode(tmp_path, "b", a, lines=cookie + secured(authority.issue("other", number=1), authority))
        with ended(b):
            crosses(a, b)


def test_cluster_ca(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "another")
    a = RunningNode(tmp_path, "a", lines=secured(ours.issue("one"), ours))
    with ended(a):
        b = RunningNode(tmp_path, "b", a, lines=secured(theirs.issue("other", number=1), ours))
        plain = RunningNode(tmp_path, "c", a)
        with ended(b, plain):
            a.until_said("no link with 127.0.0.1: certificate")
            b.until_said(f"no link with {a.place}: certificate")
            plain.until_said(f"no link with {a.place}: ")


def test_certificates_that_are_renewed_hold_for_new_links_and_end_none(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "another")
    pair, renewed = ours.issue("one"), theirs.issue("renewed", number=1)
    a = RunningNode(tmp_path, "a", lines=secured(pair, ours))
    with ended(a):
        before = RunningNode(tmp_path, "b", a, lines=secured(ours.issue("other", number=2), ours))
        with ended(before):
            a.until_linked(before)
            for old, new in ((pair.certfile, renewed.certfile), (pair.keyfile, renewed.keyfile), (ours.file, theirs.file)):
                copyfile(new, old)
            assert a.ask("listeners", "reload-certs", "cluster") == "cluster has loaded its certificates\n"
            after = RunningNode(tmp_path, "c", a, lines=secured(theirs.issue("third", number=3), theirs))
            with ended(after):
                a.until_linked(after)
                crosses(a, before)


@pytest.mark.parametrize(("key", "told"), [("ca", "ca"), ("private_key", "private_key"), ("certificate", "certificate")])
def test_cluster_private_key(tmp_path: Path, key: str, told: str) -> None:
    authority = Authority(tmp_path)
    pair, wrong = authority.issue("one"), tmp_path / "wrong.pem"
    wrong.write_text("no certificate, nor a key")
    values = {"certificate": pair.certfile, "private_key": pair.keyfile, "ca": authority.file, key: "wrong.pem"}
    file = tmp_path / "broker.ini"
    file.write_text("[cluster]\nbind = 127.0.0.1:0\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    found = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", file, "--check", cwd=tmp_path)
    assert found.returncode == 1
    assert f"[cluster] {told}: {wrong} holds no" in found.stderr.decode()
