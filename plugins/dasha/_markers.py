"""The markers that tie a function to a hook of the ``dasha`` plugin system."""

import pluggy

PROJECT = "dasha"
"""Name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
