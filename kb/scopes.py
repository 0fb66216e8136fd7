"""For whom an article is: products and channels as index words, the same for every engine. Pure.

An article that names no product is for all of them, and so with channels: a filter never hides what is said of everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from copilot.domain.knowledge import Article, Scope

_ALL = "*"


def scope_words(article: Article) -> tuple[str, ...]:
    """``product:credit_card channel:app``, with ``*`` where the article names none. No word contains white space."""
    return (*_words("product", article.products), *_words("channel", article.channels))


def wanted_words(scope: Scope) -> list[list[str]]:
    """Groups of words: an article is in scope if it has one of every group. Empty: everything is."""
    groups = (("product", scope.products), ("channel", scope.channels))
    return [[*_words(kind, values), f"{kind}:{_ALL}"] for kind, values in groups if values]


def in_scope(words: Sequence[str], groups: Sequence[Sequence[str]]) -> bool:
    """Whether an article with these words is wanted."""
    return all(any(word in words for word in group) for group in groups)


def _words(kind: str, values: Sequence[str]) -> list[str]:
    return [f"{kind}:{'_'.join(value.split())}" for value in values] or [f"{kind}:{_ALL}"]
