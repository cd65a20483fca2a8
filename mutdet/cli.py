"""The `mutdet` command: one subcommand per stage, its flags made from the stage's settings and files."""

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, get_origin

import yaml
from pydantic import ValidationError

from mutdet.settings.base import Runtime
from mutdet.settings.console import configure_logging, log
from mutdet.settings.environment import handed_down, writes_outputs
from mutdet.settings.errors import SupersededError, UserError
from mutdet.settings.flags import SEPARATOR, Flag, choice_of, flags_of
from mutdet.settings.messages import one_line
from mutdet.settings.stages import COMMANDS, Stage
from mutdet.settings.waiting import spin_briefly
from mutdet.tables.claims import claimed
from mutdet.tables.cluster_job import end_own_job
from mutdet.training.stopping import EXIT_CODE, StoppedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code. Bad input prints one line, without a traceback."""
    configure_logging()
    spin_briefly()
    namespace = vars(build_parser().parse_args(arguments))
    stage: Stage = namespace["stage"]
    try:
        _run(stage, namespace)
    except ValidationError as error:
        log.error("mutdet %s: %s", stage.name, one_line(error))
    except yaml.YAMLError as error:
        log.error("mutdet %s: a value is not readable: %s", stage.name, " ".join(str(error).split()))
    except SupersededError as error:
        log.error("mutdet %s: %s", stage.name, error)
        end_own_job()
    except UserError as error:
        log.error("mutdet %s: %s", stage.name, error)
    except StoppedError as error:
        log.error("mutdet %s: %s", stage.name, error)
        return EXIT_CODE
    else:
        return 0
    return 1


def _run(stage: Stage, namespace: dict[str, Any]) -> None:
    files = stage.files_class.model_validate(_group(namespace, "files"))
    runtime = Runtime.model_validate({**handed_down(), **_group(namespace, "runtime")})
    flags = _group(namespace, "setting")
    given = _merge(_read_settings(namespace["settings"]) or {}, flags)
    member = _chosen_member(stage, given, flags)
    settings = stage.validate({**_unnamed_variants(stage, member), **given})
    module, _, function = stage.function.partition(":")
    with claimed(files.outputs() if writes_outputs() else []):
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
        _add_flag(files, "files", Flag(info.alias or field, {"": info}), required=info.is_required(), many=get_origin(info.annotation) is list)
    _add_settings(command, stage)
    runtime = command.add_argument_group("runtime", "how it runs; changes no result")
    for flag in flags_of(Runtime):
        _add_flag(runtime, "runtime", flag)


def _add_settings(command: argparse.ArgumentParser, stage: Stage) -> None:
    """Flags of a stage's settings; where they are a union, those that only some members have stand in groups of their own."""
    everybody = command.add_argument_group("settings", "the same names and meanings as in the config file")
    everybody.add_argument("--settings", default="{}", metavar="JSON", help="settings as one JSON or YAML mapping; single flags win over it")
    choice = choice_of(stage.settings_type)
    groups = {tuple(choice.members) if choice else ("",): everybody}
    if choice:
        metavar = "{" + ",".join(choice.members) + "}"
        everybody.add_argument(f"--{choice.field}", dest=f"setting:{choice.field}", metavar=metavar, default=argparse.SUPPRESS, help=choice.help)
    for flag in flags_of(stage.settings_type):
        members = tuple(flag.fields)
        if choice and members not in groups:
            groups[members] = command.add_argument_group(f"settings of {choice.field} {', '.join(members)}")
        if not flag.names_a_variant:
            _add_flag(groups[members], "setting", flag)


def _add_flag(group: Any, role: str, flag: Flag, *, required: bool = False, many: bool = False) -> None:
    group.add_argument(
        flag.option,
        dest=f"{role}:{flag.name}",
        metavar=flag.metavar,
        help=flag.help.replace("%", "%%"),
        required=required,
        default=argparse.SUPPRESS,
        type=flag.read,
        **({"nargs": "*"} if many else {}),
    )


def _chosen_member(stage: Stage, given: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
    """Name of the union's member that the settings choose, "" where there is no union.

    Raises:
        UserError: none is chosen, or a flag belongs to another one.
    """
    choice = choice_of(stage.settings_type)
    if choice is None:
        return ""
    member = given.get(choice.field)
    if member is None:
        raise UserError(f"--{choice.field} is missing", remedy=f"choose one of {', '.join(choice.members)}")
    for flag in flags_of(stage.settings_type):
        if flag.name in flags and member in choice.members and member not in flag.fields:
            owners = " or ".join(flag.fields)
            raise UserError(f"{flag.option} is no setting of {choice.field} {member}", remedy=f"leave it out, or choose {choice.field} {owners}")
    return str(member)


def _unnamed_variants(stage: Stage, member: str) -> dict[str, str]:
    """A name for every variant that the settings require and that a stage run by hand does not look at."""
    fields = {flag.name: flag.fields[member] for flag in flags_of(stage.settings_type) if flag.names_a_variant and member in flag.fields}
    return {name: "by-hand" for name, info in fields.items() if info.is_required()}


def _group(namespace: dict[str, Any], role: str) -> dict[str, Any]:
    prefix = f"{role}:"
    return {name.removeprefix(prefix): value for name, value in namespace.items() if name.startswith(prefix)}


def _read_settings(text: str) -> Any:
    """What JSON or YAML says. Not all JSON is YAML: two escapes that are one character beyond U+FFFF are two halves of one there."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return yaml.safe_load(text)


def _merge(base: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(base, dict):
        raise UserError("--settings must be a mapping", remedy="write it like '{\"min_side\": 4}'")
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for name, value in flags.items():
        *outer, last = name.split(SEPARATOR)
        place = merged
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return merged
