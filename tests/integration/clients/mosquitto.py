"""mosquitto_pub and mosquitto_sub: a program for each publication, and one for what is subscribed."""
from tests.integration.clients.vocabulary import Message, Opening
from tests.integration.program import Program, run

VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5.0": "mqttv5"}
FORMAT = r"message\t%q\t%r\t%t\t%C\t%R\t%D\t%E\t%P\t%x"  # the payload comes as hexadecimal digits


def _properties(message: Message, command: str) -> list[str]:
    said: list[tuple[str, ...]] = [("user-property", name, value) for name, value in message.user_properties]
    if message.content_type is not None:
        said.append(("content-type", message.content_type))
    if message.response_topic is not None:
        said.append(("response-topic", message.response_topic))
    if message.correlation_data is not None:
        said.append(("correlation-data", message.correlation_data.decode()))
    if message.message_expiry_interval is not None:
        said.append(("message-expiry-interval", str(message.message_expiry_interval)))
    return [word for words in said for word in ("-D", command, *words)]


def _message(line: str) -> Message:
    qos, retain, topic, content_type, response_topic, correlation_data, expiry, pairs, payload = line.split("\t")
    return Message(
        topic=topic, payload=bytes.fromhex(payload), qos=int(qos), retain=retain == "1",
        content_type=content_type or None, response_topic=response_topic or None,
        correlation_data=correlation_data.encode() or None, message_expiry_interval=int(expiry) if expiry else None,
        user_properties=tuple((pair.partition(":")[0], pair.partition(":")[2]) for pair in pairs.split()))


class MosquittoClient:
    """A Client made of Mosquitto's commands. They do not tell whether a session was present."""

    def __init__(self) -> None:
        self._subscriber: Program | None = None
        self._subscription = ("", 0)

    def open(self, opening: Opening) -> None:
        self._opening = opening
        if opening.will is not None:
            self.subscribe(f"{opening.client_id}/nothing", 0)  # mosquitto_sub connects for a subscription only
        elif not opening.clean and self._subscription[0]:
            self._start(*self._subscription).next(r"received CONNACK \(0\)$")  # messages may come before the SUBACK

    def subscribe(self, topic_filter: str, qos: int) -> None:
        self._subscription = (topic_filter, qos)
        granted = self._start(topic_filter, qos).next(r"^Subscribed \(mid: 1\): (\d+)")[1]
        assert int(granted) == qos

    def publish(self, message: Message) -> None:
        content = ["-s"] if message.payload else ["-n"]
        retain = ["-r"] if message.retain else []
        ended = run("mosquitto_pub", *self._connect(), "-t", message.topic, "-q", str(message.qos), *content, *retain,
                    *_properties(message, "publish"), stdin=message.payload)
        assert ended.returncode == 0, ended

    def receive(self) -> Message:
        assert self._subscriber is not None
        return _message(self._subscriber.next(r"^message\t(.*)")[1])

    def close(self) -> None:
        if self._subscriber is not None:
            assert self._subscriber.terminate() == 0

    def kill(self) -> None:
        if self._subscriber is not None:
            self._subscriber.kill()

    def rest(self) -> bool:
        self.kill()
        return False

    def _connect(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self._opening.port), "-V", VERSIONS[self._opening.version]]

    def _start(self, topic_filter: str, qos: int) -> Program:
        opening = self._opening
        command = ["-i", opening.client_id, "-t", topic_filter, "-q", str(qos), "-d", "-F", FORMAT]
        if not opening.clean:
            command += ["-c", *(["-x", str(opening.expiry)] if opening.version == "5.0" else [])]
        if opening.will is not None:
            will = opening.will
            command += ["--will-topic", will.topic, "--will-payload", will.payload.decode(), "--will-qos", str(will.qos)]
            command += [*(["--will-retain"] if will.retain else []), *_properties(will, "will")]
        self._subscriber = Program("stdbuf", "-oL", "mosquitto_sub", *self._connect(), *command)
        return self._subscriber
