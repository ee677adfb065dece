"""acl.conf as emqttd has it: rules in Erlang terms, each ended by a dot.

`{allow, all}.` or `{allow, Who, publish | subscribe | pubsub, Topics}.`, with `deny` likewise. Comments begin with `%`. A
rule that denies may have a fifth part, which emqttd does not know: the reason that clients are told.
"""
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Final, NamedTuple

from emqtwist.config import ConfigError, Problem
from emqtwist.core.acl import PUBLISH, PUBSUB, REASONS, SUBSCRIBE, Pattern, Rule
from emqtwist.core.who import AddressIn, CertificateIs, ClientIs, Either, Every, UserIs, Who
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter

TOKEN: Final = re.compile(
    r"""(?P<space>\s+|%[^\n]*)|(?P<text>(?:<<)?"(?:[^"\\]|\\.)*"(?:(?:/utf8)?>>)?)|(?P<atom>[a-z]\w*|'[^'\n]*')|(?P<sign>[{}\[\],.])""",
    re.ASCII | re.DOTALL)
ACCESS: Final = {"publish": PUBLISH, "subscribe": SUBSCRIBE, "pubsub": PUBSUB}
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "0": "\0"}
WHO: Final = ('all, {client, "id"}, {user, "name"}, {cert, "name"}, {ipaddr, "address/length"}, '
              "{'and', [Who]} or {'or', [Who]}")


class Token(NamedTuple):
    kind: str
    text: str
    line: int


class Atom(str):
    """A word without quotes, or in single ones."""


class Wrong(Exception):
    """What is wrong, and in which line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def read_rules(path: str) -> list[Rule]:
    """The rules of the file, in their order; ConfigError names what is wrong and the line that it is in."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", path)]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem("not UTF-8", path)]) from None
    return parse_rules(text, path)


def parse_rules(text: str, path: str) -> list[Rule]:
    """The rules that `text` is; `path` names it."""
    try:
        return _Reader(text, path).rules()
    except Wrong as wrong:
        raise ConfigError([Problem(str(wrong), path, wrong.line)]) from None


def _tokens(text: str) -> list[Token]:
    tokens, position, line = [], 0, 1
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise Wrong(f"{text[position]!r} does not belong here", line)
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found.group(), line))
        line += found.group().count("\n")
        position = found.end()
    return tokens


class _Reader:
    """A walk over the tokens of one file."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._tokens = _tokens(text)
        self._next = 0
        self._line = 1

    def rules(self) -> list[Rule]:
        rules: list[Rule] = []
        while self._next < len(self._tokens):
            first = self._next
            line = self._tokens[first].line
            term = self._term()
            self._take(".", "a rule ends with a dot")
            try:
                rules.append(_rule(term, f"{self._path}:{line}", _text(self._tokens[first:self._next])))
            except ValueError as error:
                raise Wrong(str(error), line) from None
        return rules

    def _token(self) -> Token:
        if self._next == len(self._tokens):
            raise Wrong("the file ends within a rule", self._line)
        token = self._tokens[self._next]
        self._next += 1
        self._line = token.line
        return token

    def _take(self, sign: str, message: str) -> None:
        token = self._token()
        if token.text != sign:
            raise Wrong(f"{message}; {token.text} stands there", token.line)

    def _term(self) -> object:
        token = self._token()
        if token.kind == "text":
            return _unquoted(token.text.removeprefix("<<").removesuffix(">>").removesuffix("/utf8")[1:-1])
        if token.kind == "atom":
            return Atom(token.text.strip("'"))
        if token.text == "{":
            return tuple(self._until("}"))
        if token.text == "[":
            return self._until("]")
        raise Wrong(f"{token.text} does not belong here", token.line)

    def _until(self, end: str) -> list[object]:
        terms: list[object] = []
        if self._next < len(self._tokens) and self._tokens[self._next].text == end:
            self._next += 1
            return terms
        while True:
            terms.append(self._term())
            token = self._token()
            if token.text == end:
                return terms
            if token.text != ",":
                raise Wrong(f"a comma or {end} is missing before {token.text}", token.line)


def _text(tokens: list[Token]) -> str:
    """The rule in one line."""
    return "".join([token.text + " " if token.text == "," else token.text for token in tokens])


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found.group(1), found.group(1)), text, flags=re.DOTALL)


def _rule(term: object, place: str, text: str) -> Rule:
    match term:
        case (Atom("allow" | "deny") as verdict, Atom("all")):
            return Rule(verdict == "allow", Who(), PUBSUB, [], place, text)
        case (Atom("allow" | "deny") as verdict, who, Atom() as access, topics):
            return Rule(verdict == "allow", _who(who), _access(access), _patterns(topics), place, text)
        case (Atom("deny"), who, Atom() as access, topics, Atom() as reason):
            return Rule(False, _who(who), _access(access), _patterns(topics), place, text, _reason(reason))
    raise ValueError("a rule is {allow, all}, or {allow, Who, publish | subscribe | pubsub, [Topics]}, or the same with deny")


def _access(word: str) -> int:
    if word not in ACCESS:
        raise ValueError(f"{word} is not publish, subscribe or pubsub")
    return ACCESS[word]


def _reason(word: str) -> int:
    if word not in REASONS:
        raise ValueError(f"{word} is not {', '.join(REASONS)}")
    return REASONS[word]


def _who(term: object) -> Who:
    match term:
        case Atom("all") | (Atom("client" | "user"), Atom("all")):
            return Who()
        case (Atom("client"), str() as name) if not isinstance(name, Atom):
            return ClientIs(name)
        case (Atom("user"), str() as name) if not isinstance(name, Atom):
            return UserIs(name)
        case (Atom("cert"), str() as name) if not isinstance(name, Atom):
            return CertificateIs(name)
        case (Atom("ipaddr"), str() as network):
            try:
                return AddressIn(ip_network(network, strict=False))
            except ValueError:
                raise ValueError(f"{network} is no address and no network") from None
        case (Atom("and"), [_, *_] as parts):
            return Every([_who(part) for part in parts])
        case (Atom("or"), [_, *_] as parts):
            return Either([_who(part) for part in parts])
    raise ValueError(f"who is meant is said by {WHO}")


def _patterns(term: object) -> list[Pattern]:
    if isinstance(term, str) and not isinstance(term, Atom):
        return [_pattern(term)]
    if not isinstance(term, list) or not term:
        raise ValueError("topics are a list of strings")
    return [_pattern(each) for each in term]


def _pattern(term: object) -> Pattern:
    match term:
        case (Atom("eq"), str() as text) if not isinstance(text, Atom):
            return Pattern(_checked(text), True)
        case str() as text if not isinstance(text, Atom):
            return Pattern(_checked(text))
    raise ValueError('a topic is "a/+/#" or {eq, "a/+/#"}')


def _checked(text: str) -> bytes:
    topic_filter = text.encode()
    try:
        check_topic_filter(topic_filter, 0)
    except MQTTError as error:
        raise ValueError(f'"{text}": {error.reason}') from None
    return topic_filter
