"""A key is tried beside the one in use, which a refusal leaves as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.errors import ConfigError, ModellixError, Unauthorized
from modellix_jupyter.notebook.session import Session

if TYPE_CHECKING:
    from modellix_jupyter.keys import SecretKey
    from modellix_jupyter.settings import Settings


def try_key(key: SecretKey, settings: Settings) -> str:
    """Ask the service whether it takes a key; return how a sentence about it begins.

    Raises
    ------
    ConfigError
        It does not.

    """
    trial = Session(settings, key=key)
    try:
        if trial.key_is_valid():
            return "The key is valid, and"
    except Unauthorized:
        pass
    except ModellixError as error:
        return f"The key could not be checked ({error.message}); it is"
    finally:
        trial.close()
    raise ConfigError("The service does not take this key.", "Nothing was changed; copy it again.")
