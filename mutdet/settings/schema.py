"""JSON schema of the config file and the settings reference, both made from the settings classes.

`python -m mutdet.settings.schema` writes workflow/schemas/config.schema.json and docs/settings.md; a test holds them current.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mutdet.settings.config import Config

SCHEMA_FILE = Path("workflow/schemas/config.schema.json")
REFERENCE_FILE = Path("docs/settings.md")
_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def config_schema() -> dict[str, Any]:
    """JSON schema of the whole config file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def schema_text() -> str:
    """The schema as it stands in the repository."""
    return json.dumps(config_schema(), indent=1) + "\n"


def reference_text() -> str:
    """Settings reference in Markdown: one table per settings class, sections of the config file first."""
    schema = config_schema()
    definitions = schema["$defs"]
    parts = ["# Settings", "", "Made by `python -m mutdet.settings.schema`; do not edit. `mutdet <stage> --help` says the same.", ""]
    parts += _table("Sections of the config file", schema, definitions)
    for name, definition in definitions.items():
        if "properties" in definition:
            parts += _table(name, definition, definitions)
    return "\n".join(parts)


def _table(title: str, definition: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    yield from [f"## {title}", "", *filter(None, [definition.get("description", "").split("\n\n")[0].replace("\n", " ") if title in definitions else ""]), ""]
    yield from ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = set(definition.get("required", []))
    for key, value in definition["properties"].items():
        default = "required" if key in required else f"`{_default(value)}`"
        yield f"| `{key}` | {_kind(value)} | {default} | {value.get('description', '')} |"
    yield ""


def _default(value: dict[str, Any]) -> str:
    default = json.dumps(value.get("default"))
    return default if len(default) <= 60 else "{...}"


def _kind(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in value or "const" in value:
        return ", ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(_kind(choice) for choice in value[several])
    if value.get("type") == "array":
        return f"list of {_kind(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"map of {_kind(value['additionalProperties'])}"
    if value.get("type") == "object" and "patternProperties" in value:
        return f"map of {_kind(next(iter(value['patternProperties'].values())))}"
    limits = [f"{sign} {value[name]}" for name, sign in _LIMITS.items() if name in value]
    return " ".join([value.get("type", "any"), *limits])


def write(root: Path) -> None:
    """Write both files below the repository's root."""
    for path, text in ((SCHEMA_FILE, schema_text()), (REFERENCE_FILE, reference_text())):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parents[2])
