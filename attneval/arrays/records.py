"""Records: classes of a few named fields that nobody changes, most of them arrays.

A record is a dataclass without comparison. For the type checker it is frozen; at run time it is not, since making a
frozen class takes three times as long, and a command makes eighty of them before it can begin.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

Class = TypeVar("Class")

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options: object) -> Callable[[Any], Any]:
        """Leave a decorator as it is: what it says is for the type checker."""
        return lambda decorator: decorator


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def record(cls: type[Class]) -> type[Class]:
    """Make a class of annotated fields a record."""
    made = dataclass(eq=False, repr=False)(cls)
    if "__repr__" not in vars(cls):
        made.__repr__ = _representation  # type: ignore[method-assign]
    return made


def _representation(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"
