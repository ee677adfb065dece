"""Regular expressions of the operator: none may take longer than it may on what a client makes up."""
import pytest

from emqtwist.config import ConfigError, parse
from emqtwist.config.expressions import LONGEST, SHORTEST, STEPS, longest, steps


@pytest.mark.parametrize("expression", [
    r"(a+)+$", r"(a*)*$", r"(a|a)*b", r"(a|aa)+$", r"(.*)*", r"(.*)*x", r"(?:.+)+/x", r"(x+x+)+y", r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?:ab|ab)*c", r"^(.+)/(.+)/(.+)$", r"(.+)/(.+)$", "a?" * 20 + "a" * 20, r"(?:a{1,9}){1,9}$", r"^(?:a|b|ab){30}$"])
def test_what_could_take_too_long_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="could take too long"):
        longest(expression)


@pytest.mark.parametrize("expression", [r"(\w+)/\1", r"^(?=a)b", r"(?<!a)b", r"^(a)?(?(1)b|c)"])
def test_what_has_no_bound_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        longest(expression)


def test_flags_are_for_the_whole_expression() -> None:
    with pytest.raises(ValueError, match="flags"):
        longest("^(?i:a)b")
    assert longest("(?i)a") > SHORTEST


@pytest.mark.parametrize(("expression", "least"), [
    (r"^x/y/(.+)$", LONGEST), (r"^y/(.+)/z/(.+)$", 300), (r"^x/y/(\d+)$", LONGEST), (r"^old/(.+)$", LONGEST),
    (r"^x/y/1$", LONGEST),
    (r"^([^/]+)/([^/]+)/([^/]+)/([^/]+)/(.+)$", 10_000), (r"^(\w+)-(\d+)/(?:a|b|c)/x$", 10_000), (r"x/(.+)$", 300), ("", LONGEST),
    (r"^(?:[^/]+/)*x$", 300), (r"^(?>a+)b++c*+$", 10_000)])
def test_ordinary_expressions_are_for_topics_of_ordinary_length(expression: str, least: int) -> None:
    found = longest(expression)
    assert found >= least
    assert steps(expression, found) <= STEPS
    assert found == LONGEST or steps(expression, found + 1) > STEPS


@pytest.mark.parametrize(("settled", "free"), [
    (r"^[^/]+/[^/]+/[^/]+/x", r"^[^b]+/[^b]+/[^b]+/x"), (r"^\w+/\w+/\w+/x", r"^\W+/\W+/\W+/x"),
    (r"^(a)+b(a)+b(a)+b", r"^(b)+b(b)+b(b)+b"),
    (r"^[a-c]+d[a-c]+d[a-c]+d", r"^[a-d]+d[a-d]+d[a-d]+d"), (r"^a+b+c+", r"(?i)^a+b+c+B"),
    (r"^\W+é\W+é\W+x", r"(?a)^\W+é\W+é\W+x"), (r"^a+b", r"(?m)^a+b")])
def test_a_repeat_of_what_cannot_come_next_has_one_way_only_unless_flags_say_otherwise(settled: str, free: str) -> None:
    assert steps(settled, 100) < steps(free, 100)


def test_the_file_the_line_and_the_key_are_named() -> None:
    with pytest.raises(ConfigError, match=r"(?s)1 = x/# \(a\+\)\+\$|module\.rewrite\.rule\.1.*could take too long"):
        parse("module.rewrite.rule.1 = x/# (a+)+$ y")
