"""The `mutdet` command: one subcommand per stage, its flags made from the stage's settings and files."""

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mutdet.settings.base import VARIANT_PATTERN, Runtime
from mutdet.settings.console import configure_logging, log
from mutdet.settings.environment import handed_down
from mutdet.settings.errors import UserError
from mutdet.settings.messages import one_line
from mutdet.settings.stages import COMMANDS, Stage

_SEPARATOR = "."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code. Bad input prints one line, without a traceback."""
    configure_logging()
    namespace = vars(build_parser().parse_args(arguments))
    stage: Stage = namespace["stage"]
    try:
        _run(stage, namespace)
    except ValidationError as error:
        log.error("mutdet %s: %s", stage.name, one_line(error))
    except yaml.YAMLError as error:
        log.error("mutdet %s: a value is not readable: %s", stage.name, " ".join(str(error).split()))
    except UserError as error:
        log.error("mutdet %s: %s", stage.name, error)
    else:
        return 0
    return 1


def _run(stage: Stage, namespace: dict[str, Any]) -> None:
    files = stage.files_class.model_validate(_group(namespace, "files"))
    runtime = Runtime.model_validate({**handed_down(), **_group(namespace, "runtime")})
    given = _merge(yaml.safe_load(namespace["settings"]) or {}, _group(namespace, "setting"))
    settings = stage.validate({**_unnamed_variants(stage), **given})
    module, _, function = stage.function.partition(":")
    getattr(import_module(module), function)(files, settings, runtime)


def build_parser() -> argparse.ArgumentParser:
    """Parser with a subcommand for every stage; a stage of several parts has a subcommand for each part."""
    parser = argparse.ArgumentParser(prog="mutdet", description="Pre-training of oriented object detectors on unlabelled aerial images.")
    commands = parser.add_subparsers(metavar="STAGE", required=True)
    parents: dict[str, Any] = {}
    for stage in COMMANDS.values():
        name, _, part = stage.name.partition(" ")
        if part and name not in parents:
            parts = [other.name.partition(" ")[2] for other in COMMANDS.values() if other.name.startswith(f"{name} ")]
            parents[name] = commands.add_parser(name, help=f"in parts: {', '.join(parts)}").add_subparsers(metavar="PART", required=True)
        _add_command(parents[name] if part else commands, part or name, stage)
    return parser


def _add_command(parent: Any, name: str, stage: Stage) -> None:
    alias = name.replace("_", "-")
    command = parent.add_parser(name, aliases=[alias] if alias != name else [], help=stage.summary, description=stage.summary)
    command.set_defaults(stage=stage)
    files = command.add_argument_group("files")
    for field, info in stage.files_class.model_fields.items():
        _add_flag(files, "files", info.alias or field, info, required=info.is_required())
    settings = command.add_argument_group("settings", "the same names and meanings as in the config file")
    settings.add_argument("--settings", default="{}", metavar="JSON", help="settings as one JSON or YAML mapping; single flags win over it")
    for field, info in _flat_fields(stage.settings_type):
        if not _names_a_variant(info):
            _add_flag(settings, "setting", field, info, required=False)
    runtime = command.add_argument_group("runtime", "how it runs; changes no result")
    for field, info in Runtime.model_fields.items():
        _add_flag(runtime, "runtime", field, info, required=False)


def _flat_fields(kind: Any) -> Iterator[tuple[str, FieldInfo]]:
    """Fields of a settings class or of all members of a union, nested ones with dotted names."""
    seen: set[str] = set()
    for model in _models(kind):
        for name, info in model.model_fields.items():
            nested = list(_models(info.annotation))
            inner = [(f"{name}{_SEPARATOR}{field}", deeper) for field, deeper in _flat_fields(info.annotation)] if nested else [(name, info)]
            for flag, field_info in inner:
                if flag not in seen:
                    seen.add(flag)
                    yield flag, field_info


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif get_origin(kind) is Annotated:
        yield from _models(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from _models(member)


def _names_a_variant(info: FieldInfo) -> bool:
    """Whether a setting says which variant of another stage is read; on the command line, paths say that."""
    return any(getattr(rule, "pattern", None) == VARIANT_PATTERN for rule in info.metadata)


def _unnamed_variants(stage: Stage) -> dict[str, str]:
    """A name for every variant that the settings require and that a stage run by hand does not look at."""
    return {name: "by-hand" for name, info in _flat_fields(stage.settings_type) if info.is_required() and _names_a_variant(info)}


def _add_flag(group: Any, role: str, name: str, info: FieldInfo, *, required: bool) -> None:
    many = get_origin(info.annotation) is list and role == "files"
    group.add_argument(
        f"--{name.replace('_', '-')}",
        dest=f"{role}:{name}",
        metavar=_metavar(info.annotation),
        help=_help(info).replace("%", "%%"),
        required=required,
        default=argparse.SUPPRESS,
        type=_reader(info.annotation),
        **({"nargs": "*"} if many else {}),
    )


def _reader(annotation: Any) -> Any:
    texts = {str, Path, *(a for a in (annotation,) if get_origin(a) is Literal)}
    members = set(get_args(annotation)) - {type(None)} if get_origin(annotation) in (Union, UnionType, list) else {annotation}
    return str if members and members <= texts else yaml.safe_load


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "{" + ",".join(map(str, get_args(annotation))) + "}"
    return getattr(annotation, "__name__", "VALUE").upper()


def _help(info: FieldInfo) -> str:
    limits = ", ".join(
        f"{sign} {getattr(rule, name)}"
        for rule in info.metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if getattr(rule, name, None) is not None
    )
    default = "required" if info.is_required() else f"default: {info.get_default(call_default_factory=True)}"
    return f"{info.description or ''} ({'; '.join(part for part in (limits, default) if part)})"


def _group(namespace: dict[str, Any], role: str) -> dict[str, Any]:
    prefix = f"{role}:"
    return {name.removeprefix(prefix): value for name, value in namespace.items() if name.startswith(prefix)}


def _merge(base: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(base, dict):
        raise UserError("--settings must be a mapping", remedy="write it like '{\"min_side\": 4}'")
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for name, value in flags.items():
        *outer, last = name.split(_SEPARATOR)
        place = merged
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return merged
