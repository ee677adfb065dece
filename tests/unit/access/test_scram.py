"""SCRAM-SHA-256 as the broker speaks it: RFC 7677's example, what is refused, what nobody can find out."""
import io
import sys
from collections.abc import Mapping

import pytest
from scramp import ScramClient

from emqtwist.access.scram import MAX_MESSAGE, Scram, ScramConversation, main
from emqtwist.access.verifiers import METHOD, Verifier, make
from emqtwist.core.access import Accept, Client, Continue, Refuse, Step
from emqtwist.core.door import Door, Peer
from emqtwist.mqtt.constants import NOT_AUTHORIZED

SALT = bytes.fromhex("5b6d99689d12358eeca04b141236fa81")
USERS = {"user": make("pencil", SALT, 4096)}
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = ("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def method(users: Mapping[str, Verifier] = USERS, nonce: str = SERVER_NONCE) -> Scram:
    return Scram(users, 15000, lambda: nonce)


def conversation(users: Mapping[str, Verifier] = USERS) -> ScramConversation:
    return method(users).open(Client("", None, Door("tcp.default"), Peer("", "", True)))


def answer(talk: ScramConversation, text: str | bytes | None) -> Step | None:
    """What it decides, at once."""
    return talk.take(text.encode() if isinstance(text, str) else text).decision


def asks(step: Step | None) -> str:
    assert isinstance(step, Continue)
    assert step.data is not None
    return step.data.decode()


def refusal(step: Step | None) -> str:
    assert isinstance(step, Refuse)
    assert step.error.reason_code == NOT_AUTHORIZED
    return step.error.reason


def log_in(users: Mapping[str, Verifier], user: str, password: str) -> Step | None:
    client = ScramClient([METHOD], user, password)
    talk = conversation(users)
    client.set_server_first(asks(answer(talk, client.get_client_first())))
    step = answer(talk, client.get_client_final())
    if isinstance(step, Accept):
        assert step.data is not None
        client.set_server_final(step.data.decode())  # raises where the server does not know the verifier
    return step


def test_the_example_of_rfc_7677() -> None:
    talk = conversation()
    assert asks(answer(talk, CLIENT_FIRST)) == SERVER_FIRST
    step = answer(talk, CLIENT_FINAL)
    assert isinstance(step, Accept)
    assert (step.user_name, step.data) == ("user", SERVER_FINAL.encode())


@pytest.mark.parametrize(("user", "password"), [("user", "pencil"), ("a=b,c", "p,=w"), ("ü", "\u2168"), ("x" * 200, "y" * 1000)])
def test_who_knows_the_password_gets_in_under_the_own_name(user: str, password: str) -> None:
    step = log_in({user: make(password, SALT, 4096), **USERS}, user, password)
    assert isinstance(step, Accept)
    assert step.user_name == user


@pytest.mark.parametrize(("user", "password"), [("user", "Pencil"), ("nobody", "pencil"), ("User", "pencil")])
def test_a_wrong_password_and_an_unknown_user_look_alike(user: str, password: str) -> None:
    assert refusal(log_in(USERS, user, password)) == "SCRAM-SHA-256: invalid-proof"


def test_an_unknown_user_has_a_salt_that_stays_and_is_like_any_other() -> None:
    first = asks(answer(conversation(), "n,,n=nobody,r=x")), asks(answer(conversation(), "n,,n=nemo,r=x"))
    again = asks(answer(conversation(), "n,,n=nobody,r=x")), asks(answer(conversation(), "n,,n=nemo,r=x"))
    assert first == again
    assert first[0] != first[1]
    known = asks(answer(conversation({**USERS, "nobody": make("x", SALT, 15000)}), "n,,n=nobody,r=x"))
    assert len(known) == len(first[0])
    assert first[0].endswith(",i=15000")


def test_the_salt_of_an_unknown_user_cannot_be_told_without_the_file() -> None:
    other = {"user": make("pencil", SALT[::-1], 4096)}
    assert asks(answer(conversation(), "n,,n=nobody,r=x")) != asks(answer(conversation(other), "n,,n=nobody,r=x"))


def test_nobody_gets_in_where_there_are_no_users() -> None:
    assert refusal(log_in({}, "user", "pencil")) == "SCRAM-SHA-256: invalid-proof"


def test_a_recorded_exchange_is_worth_nothing() -> None:
    talk = method(nonce="another").open(Client("", None, Door("tcp.default"), Peer("", "", True)))
    answer(talk, CLIENT_FIRST)
    assert refusal(answer(talk, CLIENT_FINAL)).startswith("SCRAM-SHA-256: ")


def test_the_client_may_know_of_channel_binding_and_not_use_it() -> None:
    assert asks(answer(conversation(), CLIENT_FIRST.replace("n,,", "y,,"))) == SERVER_FIRST
    assert refusal(answer(conversation(), CLIENT_FIRST.replace("n,,", "p=tls-unique,,"))) == (
        "SCRAM-SHA-256: channel-binding-not-supported")


def test_the_binding_of_the_first_message_is_that_of_the_last() -> None:  # else one in between could have changed it
    talk = conversation()
    answer(talk, CLIENT_FIRST.replace("n,,", "y,,"))
    assert refusal(answer(talk, CLIENT_FINAL)) == "SCRAM-SHA-256: channel-bindings-dont-match"


def test_a_client_that_begins_with_nothing_is_asked() -> None:
    for nothing in (None, b""):
        talk = conversation()
        step = answer(talk, nothing)
        assert isinstance(step, Continue)
        assert step.data is None
        assert asks(answer(talk, CLIENT_FIRST)) == SERVER_FIRST


@pytest.mark.parametrize("message", [
    b"\xff", "x", "n,,", "n,,n=,r=x", "n,,n=user", "n,,r=x,n=user", "n,,n=a=b,r=x", "n,,m=x,n=user,r=x", "n,a=other,n=user,r=x",
    "n,,n=a\x07,r=x", CLIENT_FIRST + "x" * MAX_MESSAGE])
def test_a_first_message_that_is_none_is_refused(message: str | bytes) -> None:
    assert refusal(answer(conversation(), message)).startswith("SCRAM-SHA-256: ")


@pytest.mark.parametrize("message", [
    None, b"\xff", "x", CLIENT_FIRST, CLIENT_FINAL[:-4], CLIENT_FINAL.replace("biws", "????"),
    CLIENT_FINAL.replace("r=rOpr", "r=other"), CLIENT_FINAL.partition(",p=")[0], CLIENT_FINAL.replace("dHzb", "AAAA")])
def test_a_final_message_that_is_none_is_refused(message: str | bytes | None) -> None:
    talk = conversation()
    answer(talk, CLIENT_FIRST)
    assert refusal(answer(talk, message)).startswith("SCRAM-SHA-256: ")


# The command.

def test_the_command_prints_a_line_for_the_password_on_standard_input(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("pencil\nnot read\n"))
    assert main(["--iterations", "5000", "alice"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("alice:SCRAM-SHA-256$5000:")
    assert line.count("\n") == 1
    assert "pencil" not in line


@pytest.mark.parametrize(("arguments", "password"), [
    (["alice"], "\n"), (["alice"], ""), (["#alice"], "x\n"), (["alice", "--iterations", "4095"], "x\n"),
    (["alice", "--iterations", "10000001"], "x\n"), (["alice"], "\x07\n")])
def test_the_command_says_what_is_wrong(arguments: list[str], password: str, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(password))
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "error: " in said.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "good"), [(["pencil", "pencil"], True), (["pencil", "pen"], False)])
def test_at_a_terminal_the_password_is_typed_twice(typed: list[str], good: bool, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("emqtwist.access.scram.getpass", lambda prompt="": typed.pop(0))
    if good:
        assert main(["alice", "--iterations", "4096"]) == 0
    else:
        with pytest.raises(SystemExit):
            main(["alice", "--iterations", "4096"])
    assert capsys.readouterr().out.startswith("alice:") == good
