"""Authenticators and authorizers whose answers a test makes, when it likes."""
from twisted.internet.defer import Deferred
from zope.interface import implementer

from emqtwist.core.access import Client, Finding, Verdict
from emqtwist.core.door import Certificate, Door, Peer
from emqtwist.interfaces import IAuthenticator, IAuthorizer


def client(client_id: str = "c", user_name: str | None = "alice", listener: str = "tcp.default", address: str = "10.0.0.1",
           port: int = 50000, certificate: Certificate | None = None) -> Client:
    peer = Peer(f"{address}:{port}", address, False)
    peer.certificate = certificate
    return Client(client_id, user_name, Door(listener), peer)


@implementer(IAuthenticator)
class Oracle:
    """Gives `findings` in turn, raising those that are errors; when there are none left, it waits for `answer` or `fail`."""

    def __init__(self, *findings: Finding | Exception) -> None:
        self.findings = list(findings)
        self.asked: list[tuple[str | None, bytes | None]] = []
        self.waiting: list[Deferred[Finding]] = []
        self.cancelled = 0
        self.closed = 0

    async def authenticate(self, client: Client, password: bytes | None) -> Finding:
        self.asked.append((client.user_name, password))
        if not self.findings:
            waiting: Deferred[Finding] = Deferred(self._cancelled)
            self.waiting.append(waiting)
            return await waiting
        finding = self.findings.pop(0)
        if isinstance(finding, Exception):
            raise finding
        return finding

    def _cancelled(self, waiting: "Deferred[Finding]") -> None:
        self.cancelled += 1
        self.waiting.remove(waiting)

    def answer(self, finding: Finding) -> None:
        self.waiting.pop(0).callback(finding)

    def fail(self, error: Exception) -> None:
        self.waiting.pop(0).errback(error)

    def close(self) -> None:
        self.closed += 1


@implementer(IAuthorizer)
class Sibyl:
    """An authorizer that gives `verdicts` in turn, raising those that are errors; when none are left, it waits for `answer`."""

    def __init__(self, *verdicts: Verdict | Exception) -> None:
        self.verdicts = list(verdicts)
        self.asked: list[tuple[str, str, str]] = []
        self.waiting: list[Deferred[Verdict]] = []
        self.cancelled = 0
        self.closed = 0

    async def authorize(self, client: Client, action: str, topic: str) -> Verdict:
        self.asked.append((client.client_id, action, topic))
        if not self.verdicts:
            waiting: Deferred[Verdict] = Deferred(self._cancelled)
            self.waiting.append(waiting)
            return await waiting
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    def _cancelled(self, waiting: "Deferred[Verdict]") -> None:
        self.cancelled += 1
        self.waiting.remove(waiting)

    def answer(self, verdict: Verdict) -> None:
        self.waiting.pop(0).callback(verdict)

    def close(self) -> None:
        self.closed += 1
