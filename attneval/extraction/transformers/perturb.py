"""The scores of a model of transformers for images whose cells are painted over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.errors import AttnevalError
from attneval.extraction.removals import ORDERS, Removals, check_steps, described, mean_map, words_of
from attneval.extraction.transformers.painting import Canvas, mean_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from attneval.extraction.transformers.families.base import Adapter, CaptionMap, NumberedMap
    from attneval.extraction.transformers.pairs import Pair


@record
class Perturbation:
    """The removal of cells from images, in the order of a model's maps and at random.

    Attributes:
        adapter: What serves the model.
        steps: K.
        batch_size: Images that the model sees at a time, at most.
    """

    adapter: Adapter
    steps: int
    batch_size: int = 8

    @classmethod
    def checked(cls, adapter: Adapter, steps: int, batch_size: int) -> Perturbation:
        """Refuse models whose score is not known.

        Raises:
            AttnevalError: The family has none, or there are too few steps.
        """
        if not adapter.score:
            raise AttnevalError(
                f"{type(adapter.model).__name__} is a {adapter.family}, whose score of an image and a caption is not "
                "known here",
                hint="perturb takes causal vision-language models and dual encoders",
            )
        return cls(adapter, check_steps(steps), batch_size)

    def line(self) -> str:
        """Say what it costs."""
        runs = 2 + (2 + ORDERS) * (self.steps - 1)
        return f"cells are removed in {self.steps} steps: up to {runs} more runs of the model for a caption"

    def about(self, items: Sequence[Pair]) -> dict[str, Any]:
        """Say in the header how it is done."""
        colour = mean_colour(self.adapter.processor).tolist()
        return {
            "perturbed": described(
                self.steps,
                annotated=any(pair.words for pair in items),
                removed=f"cells painted over in the mean colour {colour} of the processor",
                score=self.adapter.score,
            )
        }

    def added_to(
        self, pair: Pair, image: Image, maps: Sequence[NumberedMap]
    ) -> tuple[list[NumberedMap], list[AttnevalError]]:
        """Give the maps of an image's captions the scores of its perturbed images.

        Args:
            pair: The image's name and its captions' words.
            image: The image.
            maps: The captions' numbers, texts and maps.

        Returns:
            The maps, and what is wrong with the captions that have no scores.
        """
        tried = [(index, text, self._tried(pair, image, index, text, one)) for index, text, one in maps]
        wrong = [pair.named(one, index) for index, _, one in tried if isinstance(one, AttnevalError)]
        return [(index, text, one) for index, text, one in tried if not isinstance(one, AttnevalError)], wrong

    def _tried(self, pair: Pair, image: Image, index: int, text: str, one: CaptionMap) -> CaptionMap | AttnevalError:
        try:
            return self._added(pair, image, index, text, one)
        except AttnevalError as error:
            return error

    def _added(self, pair: Pair, image: Image, index: int, text: str, one: CaptionMap) -> CaptionMap:
        rows = as_read(one.weights) if self.adapter.kind == "similarity" else one.weights
        words = pair.words.get(index) or words_of(text)
        removals = Removals.from_weights(mean_map(rows, one.span, words), self.steps, f"{pair.image_id}#{index}")
        canvas = Canvas.from_image(image, one.regions, self.adapter.processor)
        scores: list[float] = []
        for start in range(0, len(removals.removed), self.batch_size):
            images = [canvas.without(gone) for gone in removals.removed[start : start + self.batch_size]]
            scores += self.adapter.scores(images, text, pair.image_id)
        if not np.isfinite(scores).all():
            raise AttnevalError("the model gives scores that are not finite", hint="try --dtype float32")
        return replace(one, curves=removals.curves(scores))


def as_read(signed: NDArray[np.floating]) -> NDArray[np.float64]:
    """Read signed maps f[..., R] as scoring does by default: from their smallest to their largest weight."""
    low, high = (np.asarray(end(signed, axis=-1, keepdims=True), np.float64) for end in (np.min, np.max))
    return np.divide(signed - low, high - low, out=np.zeros(signed.shape), where=high > low)
