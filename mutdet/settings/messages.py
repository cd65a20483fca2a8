"""Validation errors as one line that names key, value and what is allowed."""

from collections.abc import Sequence

from pydantic import ValidationError


def one_line(error: ValidationError, where: Sequence[str] = ()) -> str:
    """First problem of a validation error in one line; `where` names the place that was validated."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, (*where, *problem["loc"]))) or "settings"
    value = problem["input"]
    shown = f" = {value!r}" if isinstance(value, str | int | float | bool) or value is None else ""
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}{shown}: {_allowed(problem['type'], problem['msg'])}{more}"


def _allowed(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is an unknown key; docs/settings.md lists those that exist"
    return message.removeprefix("Value error, ")
