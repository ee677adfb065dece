"""An authority whose rulings come when a test says so, and rules that stand for what it says."""
from emqtwist.core.access import Client
from emqtwist.core.acl import PUBSUB, Acl, Rule, Ruling
from emqtwist.core.message import NEVER
from emqtwist.core.pending import Pending
from emqtwist.core.ruling import use_rules
from emqtwist.core.who import Who
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR, NOT_AUTHORIZED
from tests.peers import World


def rule(allow: bool, failed: bool = False) -> Rule:
    code = IMPLEMENTATION_SPECIFIC_ERROR if failed else NOT_AUTHORIZED
    return Rule(allow, Who(), PUBSUB, [], "judge", "so be it", code, failed)


YES, NO, FAILED = Ruling(rule(True)), Ruling(rule(False)), Ruling(rule(False, True), False)


class Judge:
    """The authority of a world. `asked` are client, access and topic; rulings in `known` come at once, by topic."""

    def __init__(self, world: World, lasting: float = NEVER, **known: Ruling) -> None:
        self.world = world
        self.lasting = lasting
        self.known = {topic.encode(): ruling for topic, ruling in known.items()}
        self.asked: list[tuple[str, int, bytes]] = []
        self.clients: list[Client] = []
        self._waiting: list[Pending[Ruling]] = []
        self.reload()

    def judge(self, acl: Acl, client: Client, access: int, topic_filter: bytes) -> Pending[Ruling]:
        self.asked.append((client.client_id, access, topic_filter))
        self.clients.append(client)
        pending = Pending(self.known.get(topic_filter))
        if pending.decision is None:
            self._waiting.append(pending)
        return pending

    def reload(self) -> None:
        """Other rules are in force, with this authority."""
        use_rules(self.world.broker, Acl([], False, self, self.lasting))
        self.world.settle()

    def say(self, *rulings: Ruling) -> None:
        """Answer what is asked, in its order."""
        for ruling in rulings:
            self._waiting.pop(0).resume(ruling)
            self.world.settle()

    def waits(self) -> int:
        """How many wait for an answer that somebody still wants."""
        return len([pending for pending in self._waiting if not pending.cancelled])
