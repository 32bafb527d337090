"""The statements of an export on how its maps are to be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport

SIGNED_KINDS = ("similarity", "logit")
READABLE = ("minmax", "softmax")


def as_stated(protocol: Protocol, export: AttentionExport | None) -> tuple[Protocol, AttentionExport | None]:
    """Follow an export of signed maps that says how its rows become weights, where the protocol says nothing else.

    Args:
        protocol: The protocol; its own `normalize` is kept unless it is the default, which reads no negative weights.
        export: The export, whose header may say `normalize`.

    Returns:
        The protocol with the export's `normalize`, and the export with a warning that says so; or both as they were.
    """
    if export is None or protocol.normalize != "sum" or export.header.kind not in SIGNED_KINDS:
        return protocol, export
    wanted = export.header.about.get("normalize")
    if wanted not in READABLE:
        return protocol, export
    warning = (
        f"{export.path}: maps are signed ({export.header.kind}); rows are read with normalize={wanted}, as it says"
    )
    return replace(protocol, normalize=wanted), replace(export, warnings=(*export.warnings, warning))
