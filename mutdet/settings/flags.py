"""What the command line shows of settings and files: a flag for every field, with meaning, limits and default."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mutdet.settings.base import VARIANT_PATTERN
from mutdet.settings.plugins import OneOf

SEPARATOR = "."
_LIMITS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


@dataclass(frozen=True)
class Choice:
    """A union of settings classes, told apart by one field.

    Attributes:
        field: the field that names the member.
        members: settings class of every member, by name.
    """

    field: str
    members: Mapping[str, type[BaseModel]]

    @property
    def help(self) -> str:
        """What each member is."""
        return "; ".join(f"{name}: {(model.__doc__ or '').strip().splitlines()[0].rstrip('.')}" for name, model in self.members.items()) + " (required)"


@dataclass(frozen=True)
class Flag:
    """A field of a settings class, or of several members of a union.

    Attributes:
        name: of the field; that of a nested one has dots.
        fields: the field of every member that has it; a class that is no union is its own only member, called "".
    """

    name: str
    fields: Mapping[str, FieldInfo]

    @property
    def option(self) -> str:
        """The flag as it is typed."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def names_a_variant(self) -> bool:
        """Whether it says which variant of another stage is read; on the command line, paths say that."""
        return any(getattr(rule, "pattern", None) == VARIANT_PATTERN for info in self.fields.values() for rule in info.metadata)

    @property
    def help(self) -> str:
        """Meaning, limits and default; where members differ, those of each."""
        meanings: dict[tuple[str, str], dict[str, list[str]]] = {}
        for member, info in self.fields.items():
            meanings.setdefault((info.description or "", _limits(info)), {}).setdefault(_default(info), []).append(member)
        told = []
        for (description, limits), defaults in meanings.items():
            owners = "" if len(meanings) == 1 else ", ".join(member for members in defaults.values() for member in members) + ": "
            shown = [default if len(defaults) == 1 else f"{default} ({', '.join(members)})" for default, members in defaults.items()]
            told.append(f"{owners}{description} ({'; '.join(part for part in (limits, ', '.join(shown)) if part)})")
        return "; ".join(told)

    @property
    def metavar(self) -> str:
        """Choices, or a word for the type."""
        kinds = _kinds(next(iter(self.fields.values())).annotation)
        if len(kinds) == 1 and get_origin(kinds[0]) is Literal:
            return "{" + ",".join(map(str, get_args(kinds[0]))) + "}"
        return getattr(kinds[0], "__name__", "VALUE").upper() if len(kinds) == 1 else "VALUE"

    @property
    def read(self) -> Callable[[str], Any]:
        """Text as it stands where every member wants text, a list where every member wants one, else a YAML value."""
        kinds = [kind for info in self.fields.values() for kind in _kinds(info.annotation)]
        if all(_is_text(kind) for kind in kinds):
            return str
        return _read_list if all(get_origin(kind) in (list, tuple) for kind in kinds) else yaml.safe_load


def choice_of(kind: Any) -> Choice | None:
    """What a union of settings classes lets choose; none for a single class."""
    if get_origin(kind) is not Annotated:
        return None
    for rule in get_args(kind)[1:]:
        if isinstance(rule, OneOf):
            return Choice(rule.field, rule.members())
    return None


def flags_of(kind: Any) -> list[Flag]:
    """Flags of a settings class, or of all members of a union; the field that chooses a member is left out."""
    choice = choice_of(kind)
    members = choice.members if choice else {"": kind}
    found: dict[str, dict[str, FieldInfo]] = {}
    for member, model in members.items():
        for name, info in _flat_fields(model):
            if not choice or name != choice.field:
                found.setdefault(name, {})[member] = info
    return [Flag(name, fields) for name, fields in found.items()]


def _flat_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Fields of a class, nested ones with dotted names."""
    for name, info in model.model_fields.items():
        nested = [kind for kind in (info.annotation, *get_args(info.annotation)) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if get_origin(info.annotation) in (None, Union, UnionType) and nested:
            yield from ((f"{name}{SEPARATOR}{field}", inner) for kind in nested for field, inner in _flat_fields(kind))
        else:
            yield name, info


def _limits(info: FieldInfo) -> str:
    return ", ".join(f"{sign} {getattr(rule, name)}" for rule in info.metadata for name, sign in _LIMITS if getattr(rule, name, None) is not None)


def _default(info: FieldInfo) -> str:
    return "required" if info.is_required() else f"default: {info.get_default(call_default_factory=True)}"


def _kinds(annotation: Any) -> list[Any]:
    """What a value or, where several are taken, each of them may be; None and the rules of `Annotated` left out."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for member in get_args(annotation) if member is not type(None) for kind in _kinds(member)]
    return [annotation]


def _read_list(text: str) -> Any:
    """A YAML list, whose brackets may be left out."""
    value = yaml.safe_load(text)
    return value if value is None or isinstance(value, list) else yaml.safe_load(f"[{text}]")


def _is_text(kind: Any) -> bool:
    return kind in (str, Path, list[Path]) or get_origin(kind) is Literal
