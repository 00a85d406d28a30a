"""The magics that IPython calls: they parse, then hand over; the rest is imported when used."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Bool, Float, HasTraits, Int, TraitError, TraitType, Unicode, observe
from traitlets.traitlets import MetaHasTraits

from modellix_jupyter.errors import ConfigError, UserError, plain_lines
from modellix_jupyter.settings import SETTING_NAMES, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from modellix_jupyter.notebook.session import Session

_LOADED = "_modellix_magics"


def _help() -> str:
    from modellix_jupyter.planning.cell_options import help_text

    return help_text()


_KINDS: dict[type, type[TraitType[Any, Any]]] = {str: Unicode, int: Int, float: Float, bool: Bool}


def setting_traits() -> dict[str, TraitType[Any, Any]]:
    """Return a configurable trait for each setting, made from the table of settings."""
    made = {}
    for field in fields(Settings):
        trait = _KINDS[type(field.default)](field.default, help=field.metadata["help"])
        made[field.name] = trait.tag(config=True)
    return made


# traitlets reads the body of a class only when the class is made, so make it from the table
SettingTraits = MetaHasTraits("SettingTraits", (HasTraits,), setting_traits())


@magics_class
class Modellix(Magics, SettingTraits):  # type: ignore[misc, valid-type]  # a class made at run time
    """Settings of the Modellix magics."""

    _adopting = True

    def __init__(self, shell: InteractiveShell) -> None:
        try:
            super().__init__(shell)
            self._apply_configured()
            self._adopt()
        except BaseException:
            # a setting of the environment or of IPython is wrong: the next attempt begins anew
            shell.configurables[:] = [c for c in shell.configurables if c is not self]
            raise

    @no_var_expand
    @line_cell_magic
    def modellix(self, line: str, cell: str | None = None) -> object:
        """Generate pictures, videos and audio with Modellix; `%modellix help` says how."""
        with _usage_errors():
            from modellix_jupyter.planning.cell_parser import parse_cell, parse_line

            if cell is None:
                from modellix_jupyter.magic.commands import run_command

                return run_command(parse_line(line))
            variables = self.shell.user_ns if self.shell else {}
            from modellix_jupyter.magic.commands import run_cell
            from modellix_jupyter.notebook.functions import full_names

            with full_names():
                command = parse_cell(line, cell, self._own(variables))

            return run_cell(command, variables)

    def _own(self, variables: dict[str, object]) -> dict[str, object]:
        """Return the variables without those that IPython itself defined, such as `exit`."""
        hidden = self.shell.user_ns_hidden if self.shell else {}
        return {n: v for n, v in variables.items() if n not in hidden or hidden[n] is not v}

    # IPython prefers this to the docstring, so the help is made only when somebody looks at it
    modellix.getdoc = _help  # type: ignore[union-attr]  # it is a function

    @observe(*SETTING_NAMES)
    def _changed(self, change: dict[str, Any]) -> None:
        """Hand a changed setting to the session; if that refuses it, restore the old value."""
        if self._adopting:
            return
        try:
            apply({change["name"]: change["new"]})
        except ConfigError as error:
            raise TraitError(str(error)) from None
        finally:
            self._adopt()

    def _apply_configured(self) -> None:
        """Apply the settings of IPython's configuration, such as ``c.Modellix.ask_above = 20``."""
        configured = self.config.get(type(self).__name__, {})
        changed = {name: getattr(self, name) for name in SETTING_NAMES if name in configured}
        if changed:
            apply(changed)

    def _adopt(self) -> None:
        """Copy the settings in force to the traits, so that ``%config`` shows them."""
        from modellix_jupyter.notebook.current_session import settings

        in_force = settings()
        self._adopting = True
        for name in SETTING_NAMES:
            setattr(self, name, getattr(in_force, name))
        self._adopting = False


def apply(changed: dict[str, object]) -> Session:
    """Change settings of the session in use; raise `ConfigError` if a value is out of range."""
    from modellix_jupyter.notebook.current_session import configure, current

    return configure(current().settings.changed(**changed))


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Show a user's mistake as IPython shows the wrong use of any magic, without a traceback."""
    try:
        yield
    except UserError as error:
        # without control characters, because IPython prints it unchanged
        raise UsageError("\n".join(plain_lines(error.message, error.hint))) from None


def _with_body(lines: list[str]) -> list[str]:
    """Give a cell of one line a body: IPython requires one, but some models take no prompt."""
    alone = len(lines) == 1 and lines[0].startswith("%%modellix ")
    return [*lines, "\n"] if alone else lines


def load(ip: InteractiveShell) -> None:
    """Register the magics and the completion; announce unfinished tasks of earlier kernels."""
    if getattr(ip, _LOADED, None) is not None:
        return
    magics = Modellix(ip)
    ip.register_magics(magics)
    ip.input_transformers_cleanup.append(_with_body)
    setattr(ip, _LOADED, magics)
    from modellix_jupyter.magic.completion import register
    from modellix_jupyter.notebook.recovery import announce

    register(ip)
    announce()


def unload(ip: InteractiveShell) -> None:
    """Close the sessions, unless a sandbox is in use, and remove the magics."""
    from modellix_jupyter.magic.completion import unregister
    from modellix_jupyter.notebook.current_session import close_all, in_use

    session = in_use()
    # without the sandbox, the next cell after a reload would go to a service that costs money
    if session is None or session.sandbox is None:
        close_all()
    magics = getattr(ip, _LOADED, None)
    if magics is None:
        return
    unregister(ip)
    if _with_body in ip.input_transformers_cleanup:
        ip.input_transformers_cleanup.remove(_with_body)
    for kind in ("line", "cell"):
        ip.magics_manager.magics[kind].pop("modellix", None)
    ip.magics_manager.registry.pop(type(magics).__name__, None)
    if magics in ip.configurables:
        ip.configurables.remove(magics)
    delattr(ip, _LOADED)
