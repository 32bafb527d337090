"""Text that is escaped wherever it is not markup already, of the extra `report`."""

from __future__ import annotations

from attneval.config.extras import to_install
from attneval.errors import MissingPackageError

try:
    from markupsafe import Markup, escape
except ModuleNotFoundError as error:
    if error.name != "markupsafe":
        raise
    message = "pages and overlays need Jinja2, which is not installed"
    raise MissingPackageError(message, hint=to_install("report")) from error

__all__ = ["Markup", "escape"]
