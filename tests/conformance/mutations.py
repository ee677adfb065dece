"""Ways to break one line of a module, as sources that differ from it in one place.

What is broken is the innermost statement that holds the line: of `if`, `for` and `while` their heads; of a table that goes
over many lines the entry that begins there.
"""
import ast
import copy
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, cast

Edit = Callable[[ast.AST], ast.AST]

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}
CALLS: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor"}
LONGEST: Final = 120  # characters that name what is changed
IN_ORDER: Final = ("reversed", "sorted")


class Mutation(NamedTuple):
    """`what` is changed, in words that stay when lines move; `source` is the module with it."""

    what: str
    source: str


def mutations(source: str, line: int) -> list[Mutation]:
    """All of this line; the first ones drop it or turn it round."""
    target = _innermost(ast.parse(source), line)
    lines = source.splitlines()
    found: dict[str, Mutation] = {}
    whole = ast.unparse(target)
    for node, edit in _edits(target, line):
        what, broken = _apply(target, node, edit)
        if broken not in (whole, *found):
            found[broken] = Mutation(what, _spliced(lines, target, broken))
    return list(found.values())


def _innermost(tree: ast.Module, line: int) -> ast.stmt:
    found: ast.stmt | None = None
    for node in ast.walk(tree):  # breadth first: the last one found is the innermost
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            found = node
    if found is None:
        raise ValueError(f"there is no statement in line {line}")
    return found


def _apply(target: ast.stmt, node: ast.AST, edit: Edit) -> tuple[str, str]:
    """What became of `node`, a part of `target`, in words; and the broken target."""
    place = [id(each) for each in ast.walk(target)].index(id(node))
    changed = ast.Module([copy.deepcopy(target)], [])
    old = list(ast.walk(changed.body[0]))[place]
    new = edit(old)
    _replace(changed, old, new)
    ast.fix_missing_locations(changed)
    what = f"{_short(ast.unparse(node))} -> {_short(ast.unparse(new))}"
    return what if node is target else f"{_short(ast.unparse(target))}: {what}", ast.unparse(changed)


def _spliced(lines: list[str], target: ast.stmt, broken: str) -> str:
    """The module with `broken` in place of `target`."""
    first = lines[target.lineno - 1]
    indent = first[:target.col_offset]
    if first.lstrip().startswith("elif "):
        broken = "el" + broken if broken.startswith("if ") else f"else:\n    {broken}"
    text = [indent + each for each in broken.splitlines()]
    return "\n".join([*lines[:target.lineno - 1], *text, *lines[target.end_lineno or 0:], ""])


def _short(text: str) -> str:
    """The first line of it, as much as names it."""
    return text.partition("\n")[0][:LONGEST]


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    if old is new:
        return
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                for place, item in enumerate(value):
                    if item is old:
                        value[place] = new


def _edits(target: ast.stmt, line: int) -> Iterator[tuple[ast.AST, Edit]]:
    if isinstance(target, ast.If):
        yield target, _negate_test
        yield from _of_expression(target.test)
    elif isinstance(target, ast.While):
        yield target.test, _false  # turned round it would mostly never end
    elif isinstance(target, ast.For):
        yield target.iter, _nothing
        yield from _of_expression(target.iter)
    elif isinstance(target, ast.Return):
        if target.value is None:
            yield target, _drop
        else:
            yield from _of_expression(target.value)
            yield target, _return_none
    elif isinstance(target, ast.Assign | ast.AnnAssign | ast.AugAssign):
        if target.lineno != line and target.value is not None:
            yield from _entries(target, line)
            yield from [(node, edit) for node, edit in _of_expression(target.value) if node.lineno == line]
        else:
            yield from _of_assignment(target)
    elif isinstance(target, ast.Raise | ast.Expr | ast.Delete):
        yield target, _drop


def _of_assignment(target: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[tuple[ast.AST, Edit]]:
    names = target.targets if isinstance(target, ast.Assign) else [target.target]
    kept = isinstance(target, ast.AugAssign) or not all(isinstance(name, ast.Name) for name in names)
    if kept:
        yield target, _drop
    found = list(_of_expression(target.value)) if target.value is not None else []
    yield from found
    if not kept and not found and target.value is not None:
        yield target.value, _none


def _entries(target: ast.stmt, line: int) -> Iterator[tuple[ast.AST, Edit]]:
    """The entries of tables that begin in this line, each dropped."""
    for node in ast.walk(target):
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if key is not None and key.lineno == line:
                    yield node, _without_key(node.keys.index(key))
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            for place, element in enumerate(node.elts):
                if element.lineno == line:
                    yield node, _without_element(place)


def _of_expression(expression: ast.expr) -> Iterator[tuple[ast.expr, Edit]]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield node, _turn_comparison
        elif isinstance(node, ast.BoolOp):
            yield node, _other_boolean
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, _operand
        elif isinstance(node, ast.IfExp):
            yield node, _other_branch
        elif isinstance(node, ast.BinOp):
            yield node, _left
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | bytes):
            yield node, _other_constant
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield node, _other_call
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IN_ORDER:
            yield node, _first_argument


def _drop(node: ast.AST) -> ast.AST:
    return ast.Pass()


def _nothing(node: ast.AST) -> ast.AST:
    return ast.Tuple([], ast.Load())


def _false(node: ast.AST) -> ast.AST:
    return ast.Constant(False)


def _none(node: ast.AST) -> ast.AST:
    return ast.Constant(None)


def _return_none(node: ast.AST) -> ast.AST:
    return ast.Return(ast.Constant(None))


def _negate_test(node: ast.AST) -> ast.AST:
    statement = cast(ast.If, node)
    statement.test = ast.UnaryOp(ast.Not(), statement.test)
    return statement


def _turn_comparison(node: ast.AST) -> ast.AST:
    comparison = cast(ast.Compare, node)
    comparison.ops = [COMPARISONS[type(comparison.ops[0])]()]
    return comparison


def _other_boolean(node: ast.AST) -> ast.AST:
    operation = cast(ast.BoolOp, node)
    operation.op = ast.Or() if isinstance(operation.op, ast.And) else ast.And()
    return operation


def _operand(node: ast.AST) -> ast.AST:
    return cast(ast.UnaryOp, node).operand


def _other_branch(node: ast.AST) -> ast.AST:
    choice = cast(ast.IfExp, node)
    choice.body, choice.orelse = choice.orelse, choice.body
    return choice


def _left(node: ast.AST) -> ast.AST:
    return cast(ast.BinOp, node).left


def _other_constant(node: ast.AST) -> ast.AST:
    value = cast(ast.Constant, node).value
    if isinstance(value, bool):
        return ast.Constant(not value)
    if isinstance(value, bytes):
        return ast.Constant(bytes((value[0] ^ 1,)) + value[1:] if value else b"?")
    assert isinstance(value, int)
    return ast.Constant(value + 1)


def _other_call(node: ast.AST) -> ast.AST:
    call = cast(ast.Call, node)
    name = cast(ast.Name, call.func)
    name.id = CALLS[name.id]
    return call


def _first_argument(node: ast.AST) -> ast.AST:
    return cast(ast.Call, node).args[0]


def _without_key(place: int) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        table = cast(ast.Dict, node)
        del table.keys[place], table.values[place]
        return table
    return edit


def _without_element(place: int) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        del cast(ast.Tuple, node).elts[place]
        return node
    return edit
