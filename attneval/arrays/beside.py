"""Work of another thread, while this one goes on: arithmetic of arrays and reading, which let others run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Beside(Generic[T]):
    """The result of a function that another thread calls once.

    Args:
        work: The function; nothing that it reads may change before its result is taken.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Beside[T]:
        """Begin, if that has not been done."""
        if self._thread.ident is None:
            self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self._returned.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            self._raised = error

    def result(self) -> T:
        """Wait for what the function returns; whatever it raises is raised here."""
        self.start()
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        return self._returned[0]
