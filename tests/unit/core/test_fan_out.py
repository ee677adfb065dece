"""From one message to many receivers, each in its own form."""


from emqtwist.core.message import Message
from emqtwist.mqtt.packets import Publish
from tests.peers import Peer, World, every_version


def test_receivers_of_all_versions_qos_and_options_get_their_own_form() -> None:
    world = World()
    peers: dict[tuple[int, int, int], Peer] = {}
    for version in (3, 4, 5):
        for qos in (0, 1, 2):
            for identifier in (0, 9) if version == 5 else (0,):
                peer = world.connect(f"{version}-{qos}-{identifier}", version=version)
                peer.subscribe("a", qos=qos, identifier=identifier)
                peers[version, qos, identifier] = peer
    alice = world.connect("alice")
    for sent in (0, 1, 2, 0):
        alice.publish("a", b"payload", qos=sent, user_properties=[("k", "v")])
        for (version, qos, identifier), peer in peers.items():
            publish = peer.one(Publish)
            assert (publish.payload, publish.qos) == (b"payload", min(qos, sent))
            if version == 5:
                assert publish.properties is not None
                assert publish.properties.user_properties == [("k", "v")]
                assert publish.properties.subscription_identifiers == ([identifier] if identifier else [])
            else:
                assert publish.properties is None


@every_version
def test_a_plain_message_comes_to_all_versions(version: int) -> None:
    world = World()
    peers = [world.connect(f"v{each}", version=each) for each in (3, 4, 5)]
    for peer in peers:
        peer.subscribe("a")
    alice = world.connect("alice", version=version)
    for payload in (b"first", b"by the cached route"):
        alice.publish("a", payload)
    for peer in peers:
        assert peer.payloads() == [b"first", b"by the cached route"]


def test_the_bytes_of_a_message_are_made_once_for_receivers_alike() -> None:
    message = Message(b"a", b"x", 1)
    message.encode(0x32, (), 0.0)
    head, tail = message.head, message.tail
    message.encode(0x32, (), 5.0)
    assert message.head is head
    assert message.tail is tail
    message.encode(0x132, (), 5.0)
    assert (message.head, message.tail) == (b"\x32\x07\x00\x01a", b"\x00x")


def test_a_receiver_with_an_identifier_leaves_its_bytes_to_nobody() -> None:
    world = World()
    bob, carol = world.connect("bob"), world.connect("carol")
    bob.subscribe("a", qos=1, identifier=7)
    carol.subscribe("a", qos=1)
    alice = world.connect("alice")
    for qos in (0, 1):
        alice.publish("a", b"x", qos=qos)
        assert bob.one(Publish).properties is not None
        assert carol.one(Publish).properties is None
