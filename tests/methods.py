"""An Authentication Method whose decisions a test makes, when it likes."""
from emqtwist.core.access import Accept, Client, Continue, Refuse, Step
from emqtwist.core.pending import Pending
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import NotAuthorized
from emqtwist.mqtt.packets import Auth, Connect, Will
from tests.peers import properties

NAME = "TEST"


class Method:
    """Answers each question at once from `steps`, in turn; when there are none left, it waits for `decide`."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.clients: list[Client] = []
        self.asked: list[bytes | None] = []
        self.pending: list[Pending[Step]] = []

    def open(self, client: Client) -> "Method":
        self.clients.append(client)
        return self

    def take(self, data: bytes | None) -> Pending[Step]:
        self.asked.append(data)
        if self.steps:
            return Pending(self.steps.pop(0))
        self.pending.append(Pending())
        return self.pending[-1]

    def decide(self, step: Step) -> None:
        """Make the oldest decision that is waited for."""
        self.pending.pop(0).resume(step)


def more(data: bytes | None = b"more") -> Step:
    return Continue(data)


def yes(user_name: str = "alice", data: bytes | None = None) -> Step:
    return Accept(user_name, data)


def no() -> Step:
    return Refuse(NotAuthorized("no such luck"))


def opening(client_id: str = "a", data: bytes | None = None, *, method: str = NAME, clean_start: bool = True,
            keep_alive: int = 0, will: Will | None = None, user_name: str | None = None, **values: object) -> Connect:
    """CONNECT with an Authentication Method."""
    made = properties(authentication_method=method, authentication_data=data, **values)
    return Connect(5, client_id, clean_start, keep_alive, user_name, None, will, properties=made)


def auth(data: bytes | None = None, reason_code: int = c.CONTINUE_AUTHENTICATION, method: str = NAME) -> Auth:
    return Auth(reason_code, properties(authentication_method=method, authentication_data=data))
