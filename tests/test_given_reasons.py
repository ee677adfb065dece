"""Each reason code that the sources make an error with has a scene where a connection ends by it."""
import ast
from pathlib import Path

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError
from tests.unit.core import test_causes

ONLY_REFUSALS = {  # of one Topic Filter: the connection goes on
    "topic_filter_invalid", "wildcard_subscriptions_not_supported", "subscription_identifiers_not_supported",
    "shared_subscriptions_not_supported",
}


def codes_in(source: str) -> set[str]:
    """The names of the reason codes that this code makes an MQTTError with; one that an operator chooses has no name."""
    found: set[str] = set()
    for call in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]:
        if isinstance(call.func, ast.Name) and call.func.id == "MQTTError":
            for argument in call.args[1:2]:
                found.add(argument.attr if isinstance(argument, ast.Attribute) else getattr(argument, "id", "?"))
    return found - {"reason_code"}


def test_each_reason_that_the_broker_gives_has_a_scene(checkout: Path) -> None:
    names = set().union(*[codes_in(path.read_text()) for path in (checkout / "emqtwist").rglob("*.py")])
    given = {kind.usual_code for kind in MQTTError.__subclasses__()} | {getattr(c, name) for name in names}
    assert len(given) > len(MQTTError.__subclasses__())
    assert {causes.end_cause(code) for code in given} <= {scene.__name__ for scene in test_causes.ENDS} | ONLY_REFUSALS
