"""Whether a class that is not ours fits the role of an entry; where it does not, what to add, in the role's words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from inspect import Parameter, getattr_static, isfunction, signature
from typing import Any, Literal, get_args, get_origin

from common.errors import StudyError
from common.study.spelling import nearest

MISSPELT = 0.85
"""Similarity of two words from which one is taken for a slip of the other."""
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "float": ((int, float), "a number"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "True or False"),
}
_PLAIN = (str, int, float, tuple, list, dict, set, type(None))
FROZEN = "@dataclass(frozen=True) above the class, whose annotated fields are its options"


@dataclass(frozen=True)
class Role:
    """kind, plural: words for it. protocol: a Protocol, or, where an entry is a function, its alias of Callable.
    optional: members of it that may be absent. beside: a Protocol of more members that an entry may have.
    """

    kind: str
    plural: str
    protocol: Any
    optional: tuple[str, ...] = ()
    beside: type | None = None

    @property
    def is_function(self) -> bool:
        """Whether an entry is a function and no class."""
        return not isinstance(self.protocol, type)

    @property
    def members(self) -> tuple[str, ...]:
        """What an entry must have, sorted."""
        return tuple(one for one in _public(self.protocol) if one not in self.optional)

    @property
    def may_have(self) -> Mapping[str, Any]:
        """What an entry may have and may lack, by the Protocol that says how it looks."""
        beside = () if self.beside is None else _public(self.beside)
        return {**dict.fromkeys(self.optional, self.protocol), **dict.fromkeys(beside, self.beside)}


def fitted(loaded: Any, name: str, role: Role) -> Any:
    """`loaded`, which fits. Raises StudyError that says what to add."""
    what = f"{role.kind} {name!r}"
    if role.is_function:
        return _function(loaded, what, role)
    if not isinstance(loaded, type):
        raise StudyError(f"{what} is no class, but {type(loaded).__name__}.")
    lacking = [one for one in role.members if not _has(loaded, one)]
    if lacking:
        wanted = "; ".join(_spelled(role.protocol, one) for one in lacking)
        raise StudyError(
            f"{what} lacks {', '.join(lacking)}. Add {wanted}. `wardround new {role.kind} NAME` writes a whole one."
        )
    _demand_dataclass(loaded, what)
    for fault in (*_faults(loaded, role), *_misspelt(loaded, role), *_halves(loaded, role)):
        raise StudyError(f"{what}: {fault}")
    return loaded


def _public(protocol: Any) -> tuple[str, ...]:
    names = {*vars(protocol), *vars(protocol).get("__annotations__", {})}
    return tuple(sorted(one for one in names if not one.startswith("_")))


def _function(loaded: Any, what: str, role: Role) -> Any:
    if not callable(loaded) or isinstance(loaded, type):
        raise StudyError(f"{what} is no function, but {_kind_of(loaded)}.")
    count = len(get_args(role.protocol)[0])
    if not _takes(loaded, [None] * count, {}):
        raise StudyError(
            f"{what} takes {signature(loaded)}, and is called with {count} value{'s' * (count != 1)}. "
            f"`wardround new {role.kind} NAME` writes a whole one."
        )
    return loaded


def _demand_dataclass(loaded: type, what: str) -> None:
    if not is_dataclass(loaded):
        raise StudyError(f"{what} must be a dataclass: write {FROZEN}.")
    if not loaded.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise StudyError(f"{what} is a dataclass that can be changed: write {FROZEN}.")
    own = vars(loaded)
    fresh = [name for name in own.get("__annotations__", {}) if not _is_of_the_class(own["__annotations__"][name])]
    if "__dataclass_fields__" not in own and fresh:
        raise StudyError(
            f"{what} names {', '.join(fresh)}, which are no options of it yet, since only the class that it extends "
            f"is a dataclass: write {FROZEN}."
        )


def _is_of_the_class(hint: Any) -> bool:
    return "ClassVar" in str(hint)


def _faults(loaded: type, role: Role) -> Iterator[str]:
    """Members of the right name that cannot be used as the role's are."""
    wanted_by = dict.fromkeys(role.members, role.protocol)
    wanted_by |= {name: protocol for name, protocol in role.may_have.items() if _declares(loaded, name)}
    for name, protocol in wanted_by.items():
        own, wanted = getattr_static(loaded, name, None), vars(protocol).get(name)
        if isfunction(wanted):
            yield from _fault_of_method(own, wanted, name, protocol)
        yield from _fault_of_value(own, protocol.__annotations__.get(name), name, protocol)


def _declares(loaded: type, name: str) -> bool:
    """Whether it has an optional member; one that is None is as good as absent."""
    return getattr_static(loaded, name, None) is not None


def _misspelt(loaded: type, role: Role) -> Iterator[str]:
    """Members that are none of the role's, and all but the name of an optional one."""
    known = {*role.members, *role.may_have, *(one.name for one in fields(loaded))}
    own = {member for base in loaded.__mro__ for member in vars(base) if not member.startswith("_")}
    for member in sorted(own - known):
        if meant := get_close_matches(member, list(role.may_have), 1, MISSPELT):
            yield (
                f"it has {member!r}, which is no member of {_an(role.kind)}; did you mean {meant[0]!r}? "
                f"If not, call it _{member}."
            )


def _halves(loaded: type, role: Role) -> Iterator[str]:
    """Optional members without those that they are of no use without."""
    together = vars(sys.modules[role.beside.__module__]).get("TOGETHER", ()) if role.beside else ()
    for member, needed in together:
        if _declares(loaded, member) and not _declares(loaded, needed) and not _has(loaded, needed):
            yield f"it has {member} and no {needed}: one is of no use without the other."


def _fault_of_method(own: Any, wanted: Callable[..., Any], name: str, protocol: Any) -> Iterator[str]:
    bound = isinstance(own, staticmethod | classmethod)
    called = own.__func__ if bound else own
    if not callable(called):
        yield f"{name} is no method, but {_kind_of(own)}: write {_spelled(protocol, name)}"
        return
    given = [one for one in signature(wanted).parameters.values() if _is_always_given(one)]
    named = {one.name: None for one in signature(wanted).parameters.values() if one.kind is Parameter.KEYWORD_ONLY}
    skipped = 1 if isinstance(own, staticmethod) else 0
    if not _takes(called, [None] * (len(given) - skipped), named):
        yield f"{name} takes {_written(signature(called))}: write {_spelled(protocol, name)}"


def _is_always_given(one: Parameter) -> bool:
    """By position. What has a default is asked for only of an entry that needs it."""
    return one.kind is not Parameter.KEYWORD_ONLY and one.default is Parameter.empty


def _takes(called: Callable[..., Any], values: list[None], named: dict[str, None]) -> bool:
    try:
        signature(called).bind(*values, **named)
    except TypeError:
        return False
    except ValueError:  # it is written in C and does not say
        return True
    return True


def _fault_of_value(own: Any, hint: Any, name: str, protocol: type) -> Iterator[str]:
    """Of a value that stands in the class. What a property or a field of an object answers is its own affair."""
    if not isinstance(own, _PLAIN):
        return
    inner = _inner("ClassVar", str(hint))
    several = _inner("tuple", inner).removesuffix(", ...") if inner.startswith("tuple[") else ""
    if not several:
        yield from _fault_of_one(own, inner, name, protocol)
    elif not isinstance(own, tuple | list):
        yield f"{name} must be a tuple, such as ({_example(several, protocol)!r},); it is {own!r}."
    else:
        for one in own:
            yield from _fault_of_one(one, several, f"each of {name}", protocol)


def _fault_of_one(own: Any, hint: str, name: str, protocol: type) -> Iterator[str]:
    choices = _choices(hint, protocol)
    if choices and own not in choices:
        near = nearest(own, choices) if isinstance(own, str) else None
        guess = f"; did you mean {near!r}?" if near else "."
        yield f"{name} must be {' or '.join(map(repr, choices))}; it is {own!r}{guess}"
    kinds, words = _KINDS.get(hint, ((), ""))
    if kinds and (not isinstance(own, kinds) or (isinstance(own, bool) and bool not in kinds)):
        yield f"{name} must be {words}; it is {own!r}."


def _inner(outer: str, hint: str) -> str:
    """`Word` of `ClassVar[Word]`."""
    is_in = hint.startswith(f"{outer}[") and hint.endswith("]")
    return hint[len(outer) + 1 : -1] if is_in else hint


def _choices(hint: str, protocol: type) -> tuple[Any, ...]:
    """Of `Word`, in a module that knows it as a Literal."""
    found = vars(sys.modules[protocol.__module__]).get(hint)
    return get_args(found) if get_origin(found) is Literal else ()


def _example(hint: str, protocol: type) -> Any:
    return next(iter(_choices(hint, protocol)), "name")


def _spelled(protocol: type, name: str) -> str:
    """A member as one writes it: `def step(self, state: State, ...) -> ...`, or `headline: ClassVar[str]`."""
    member = vars(protocol).get(name)
    if isfunction(member):
        return f"`def {name}{_written(signature(member))}`"
    if isinstance(member, property) and member.fget is not None:
        return f"`{name}: {_unquoted(str(signature(member.fget).return_annotation))}`, a field or a property"
    return f"`{name}: {_unquoted(str(protocol.__annotations__.get(name, 'Any')))}`"


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _written(found: Any) -> str:
    return _unquoted(str(found))


def _unquoted(text: str) -> str:
    return text.replace("'", "")


def _kind_of(value: Any) -> str:
    return "a class" if isinstance(value, type) else type(value).__name__


def _has(cls: type, member: str) -> bool:
    """Also a field without a default, which is no attribute of the class."""
    return hasattr(cls, member) or any(member in vars(base).get("__annotations__", {}) for base in cls.__mro__)
