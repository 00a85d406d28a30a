"""The settings as traits, so that ``%config Modellix`` lists, checks and sets them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import traitlets
from traitlets.traitlets import MetaHasTraits

from modellix_jupyter.settings import Settings

if TYPE_CHECKING:
    from modellix_jupyter.notebook.session import Session

_KINDS: dict[str, type[traitlets.TraitType[Any, Any]]] = {
    "str": traitlets.Unicode,
    "int": traitlets.Int,
    "float": traitlets.Float,
    "bool": traitlets.Bool,
}


def setting_traits() -> dict[str, traitlets.TraitType[Any, Any]]:
    """Return a configurable trait for each setting, made from the table of settings."""
    made = {}
    for field in fields(Settings):
        trait = _KINDS[str(field.type)](field.default, help=field.metadata["help"])
        made[field.name] = trait.tag(config=True)
    return made


# traitlets reads a class's body once, when the class is made: so the class is made of the table
SettingTraits = MetaHasTraits("SettingTraits", (traitlets.HasTraits,), setting_traits())


def apply(changed: dict[str, object]) -> Session:
    """Give the session in use other settings.

    Raises
    ------
    ConfigError
        A value is of the wrong form or out of range; nothing was changed.

    """
    from modellix_jupyter.notebook.current_session import configure, current

    return configure(current().settings.changed(**changed))
