"""A local Modellix, so that a first run needs no key and no money.

It imports nothing of the rest of the package: it was written from the API's documentation, and so
is an independent check of what the client sends. Tornado and Pillow are loaded when it starts.
"""

from modellix_jupyter.sandbox_server.faults import Fault, Faults
from modellix_jupyter.sandbox_server.server import Sandbox
from modellix_jupyter.sandbox_server.site import JournalEntry, Submission

__all__ = ["Fault", "Faults", "JournalEntry", "Sandbox", "Submission"]
