"""Plug-ins: implementations with settings of their own, of which a section of the config file chooses one by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Plugin:
    """A line of a registry.

    Attributes:
        settings: "module:class" below `mutdet.settings`; the class names itself by a field of type `Literal["<name>"]`.
        code: "module:object" that carries these settings out.
    """

    settings: str
    code: str

    @property
    def settings_class(self) -> type[BaseModel]:
        """Class of the plug-in's settings."""
        module, _, name = self.settings.partition(":")
        found: type[BaseModel] = getattr(import_module(module), name)
        return found


@dataclass(frozen=True, eq=False)
class OneOf:
    """Annotation of a settings class: any plug-in of a registry, told apart by one field.

    `Annotated[Base, OneOf("method", METHODS)]` is validated and described as the union of the plug-ins' settings classes, which all
    derive from `Base`. Their modules are imported when that union is needed, so that a module that names it does not depend on them.

    Attributes:
        field: the field that names the plug-in.
        registry: name -> plug-in.
    """

    field: str
    registry: Mapping[str, Plugin]

    def members(self) -> dict[str, type[BaseModel]]:
        """Settings class of every plug-in, by name."""
        return {name: plugin.settings_class for name, plugin in self.registry.items()}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {name: handler.generate_schema(member) for name, member in self.members().items()}
        return core_schema.tagged_union_schema(choices, discriminator=self.field)
