"""Which SQL may run: one SELECT over allowed views, nothing else. Pure; the statement that runs is written anew from what was understood.

An allow-list in every respect: statement, tables, columns, functions, joins. What the parser does not understand does not run, and what was
understood is printed again, so that a database never sees a byte that the parser took for something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import sqlglot
from sqlglot import exp

from copilot.domain.errors import InvalidInput

MOST_CHARACTERS = 2_000
_MOST_NODES = 300
_MOST_TABLES = 3
_MOST_OFFSET = 10_000
_FUNCTIONS: tuple[type[exp.Expression], ...] = (
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Round, exp.Abs, exp.Lower, exp.Upper, exp.Length, exp.Coalesce,
    exp.Substring, exp.Trim,
    exp.Cast, exp.And, exp.Or, exp.Case, exp.If,
)  # fmt: skip
_NODES: tuple[type[exp.Expression], ...] = (
    exp.Select, exp.From, exp.Join, exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Literal, exp.Boolean,
    exp.Null, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Paren, exp.Not, exp.Neg,
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Add, exp.Sub, exp.Mul, exp.Div,
    exp.Mod, exp.Tuple, exp.Subquery, exp.Exists, exp.DataType, exp.Placeholder, exp.DPipe, exp.Var,
)  # fmt: skip
_TYPES = frozenset({"INT", "BIGINT", "TEXT", "VARCHAR", "DECIMAL", "DOUBLE", "FLOAT", "DATE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view that may be read. ``columns``: name → what it holds, for people and models; ``about``: the same of the view."""

    name: str
    columns: Mapping[str, str]
    about: str = ""


def refuse(reason: str) -> NoReturn:
    """Raises InvalidInput."""
    raise InvalidInput(f"The question cannot be run: {reason}.")


def checked(sql: str, views: Iterable[View], *, dialect: str, most_rows: int, parameters: frozenset[str] = frozenset()) -> str:
    """The statement to run, bounded to ``most_rows``. Raises InvalidInput with the reason, which quotes nothing of the statement.

    ``dialect``: of the database, as sqlglot names it; ``parameters``: names of bound values that may stand in it (``:name``).
    """
    if len(sql) > MOST_CHARACTERS:
        refuse("the statement is too long")
    try:
        statements = [statement for statement in sqlglot.parse(sql, read=dialect) if statement is not None]
    except (sqlglot.errors.SqlglotError, RecursionError):
        refuse("it is not one plain query")
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        refuse("only one SELECT may run")
    select = statements[0]
    allowed = {view.name: frozenset(view.columns) for view in views}
    nodes = list(select.walk())
    if len(nodes) > _MOST_NODES:
        refuse("it is too complicated")
    for node in nodes:
        _check(node, parameters)
    tables = list(select.find_all(exp.Table))
    if not tables or len(tables) > _MOST_TABLES or len(list(select.find_all(exp.Select))) > 2:
        refuse("it reads from nothing, or from too much at once")
    for table in tables:
        if table.args.get("db") or table.args.get("catalog") or table.name not in allowed or not isinstance(table.this, exp.Identifier):
            refuse("it reads what is not an allowed view")
    for join in select.find_all(exp.Join):
        condition = join.args.get("on")
        sides = {column.table for column in condition.find_all(exp.Column)} if condition is not None else set()
        if len(sides) < 2 or join.args.get("kind") == "CROSS" or join.args.get("using"):
            refuse("views are joined without a condition")
    _check_columns(select, tables, allowed)
    return _bounded(select, most_rows).sql(dialect=dialect, comments=False)


def _check(node: object, parameters: frozenset[str]) -> None:
    if isinstance(node, exp.Func):
        if not isinstance(node, _FUNCTIONS):
            refuse("it uses a function that is not allowed")
    elif not isinstance(node, _NODES):
        refuse("it uses a construction that is not allowed")
    if isinstance(node, exp.Select) and any(
        node.args.get(name) for name in ("with_", "with", "into", "locks", "hint", "laterals", "windows")
    ):
        refuse("it uses a construction that is not allowed")
    if isinstance(node, exp.Placeholder) and node.name not in parameters:
        refuse("it has a value left open")
    if isinstance(node, exp.DataType) and getattr(node.this, "name", "") not in _TYPES:
        refuse("it uses a type that is not allowed")
    if isinstance(node, exp.Join) and (node.args.get("method") or node.args.get("side") not in (None, "", "LEFT")):
        refuse("views are joined in a way that is not allowed")


def _check_columns(select: exp.Select, tables: list[exp.Table], allowed: Mapping[str, frozenset[str]]) -> None:
    names: dict[str, frozenset[str]] = {}
    for table in tables:
        if names.setdefault(table.alias_or_name, allowed[table.name]) != allowed[table.name]:
            refuse("a name stands for two views")
    made = {alias.alias for alias in select.find_all(exp.Alias)}
    known = frozenset[str]().union(*names.values())
    for column in select.find_all(exp.Column):
        if column.args.get("db") or column.args.get("catalog") or (column.table and column.table not in names):
            refuse("it names what is not in the allowed views")
        if isinstance(column.this, exp.Star):
            continue
        if column.name not in (names[column.table] if column.table else known | made):
            refuse("it names a column that is not in the allowed views")


def _bounded(select: exp.Select, most_rows: int) -> exp.Select:
    limit, offset = select.args.get("limit"), select.args.get("offset")
    rows = most_rows
    if limit is not None:
        asked = limit.expression
        if not isinstance(asked, exp.Literal) or not asked.is_int:
            refuse("its number of rows is not a plain number")
        rows = max(0, min(most_rows, int(asked.this)))
    if offset is not None:
        skipped = offset.expression
        if not isinstance(skipped, exp.Literal) or not skipped.is_int or int(skipped.this) > _MOST_OFFSET:
            refuse("its offset is not a small plain number")
    return select.limit(rows)
