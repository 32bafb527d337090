"""Causal vision-language models: image tokens stand in the sequence, captions are read or written after them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.capture import capture, positions
from attneval.extraction.transformers.decoders import attention_modules
from attneval.extraction.transformers.families.base import Adapter, Prepared, Trait, memory_enough
from attneval.extraction.transformers.families.inputs import (
    on_device,
    rows_of,
    takes,
    tokenizer_of,
)
from attneval.extraction.transformers.text import (
    INSTRUCTION,
    PLACE,
    Prompt,
    expanded,
    fill,
    fill_chat,
    laid_out,
    tokens_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from attneval.extraction.transformers.geometry import Geometry
    from attneval.extraction.transformers.regions import Regions


class Causal(Adapter):
    """A decoder that reads image tokens and text in one sequence.

    Nothing of a class is known by name: image tokens are found by `config.image_token_id`, cells by the processor's
    probe, attention modules by what they have. An adapter overrides `prompt`, `columns` or `regions`.
    """

    family = "causal vision-language model"
    score = "mean log-likelihood of the caption's tokens"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: image tokens, an image processor, a tokenizer and attention modules."""
        try:
            attends = bool(attention_modules(model))
        except AttnevalError:
            attends = False
        return [
            Trait(
                "config.image_token_id",
                cls.columns is not Causal.columns or image_token_id(model) is not None,
            ),
            Trait("one sequence (no encoder beside the decoder)", not _has_encoder(model)),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
            Trait("a processor with tokenizer", getattr(processor, "tokenizer", None) is not None),
            Trait("attention modules with layer_idx in its decoder", attends),
        ]

    def check_choices(self) -> None:
        """Refuse weights that causal models do not have; both kinds of rows exist."""
        if self.choices.weights not in {None, "attention"}:
            raise AttnevalError(
                f"weights {self.choices.weights!r} do not exist for {type(self.model).__name__}, a {self.family}",
                hint="it has attention",
            )

    def columns(self, inputs: Mapping[str, Any]) -> Any:
        """Find the image tokens that are cells, in the order of the regions.

        Args:
            inputs: What the model is called with.

        Returns:
            bool[B, S] or int[B, R], positions in the sequence.
        """
        return inputs["input_ids"] == image_token_id(self.model)

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:
        """Place the cells on the image, by what the processor does to it."""
        return self._geometry(image, _positions(self.columns(inputs)).shape[-1]).regions

    def _geometry(self, image: Image, tokens: int) -> Geometry:
        return self.finder().find(image, tokens)

    def cells(self, prepared: Prepared) -> Tensor:
        """Find the positions of the cells, newline tokens and the like left out.

        Returns:
            int64[B, R].
        """
        columns = _positions(self.columns(prepared.inputs))
        if columns.ndim == 1:
            columns = columns[None].expand(len(prepared.tokens), -1)
        if not columns.numel() or bool((columns < 0).any()):
            raise AttnevalError(
                f"image {prepared.image_id}: captions of one image have different numbers of image tokens, or none",
                hint="columns() of the adapter must give the same number for each",
            )
        if type(self).regions is not Causal.regions or type(self).columns is not Causal.columns:
            return columns
        keep = torch.from_numpy(self._geometry(prepared.image, columns.shape[-1]).cells)
        return columns[:, keep]

    def template(self) -> str | None:
        """Return the prompt with `{caption}` in it, None where the chat template is used."""
        chosen = self.choices.prompt or self.prompt
        if chosen is not None and PLACE in chosen:
            token = getattr(self.processor, "image_token", None)
            if isinstance(token, str) and chosen.count(token) != 1:
                raise AttnevalError(
                    f"the prompt {chosen!r} has {chosen.count(token)} places for the image", hint=f"write {token} once"
                )
            return chosen
        if getattr(self.processor, "chat_template", None):
            return None
        if chosen is not None:
            raise AttnevalError(
                f"the prompt {chosen!r} has no {PLACE}, and {type(self.processor).__name__} has no chat template",
                hint=f"write the whole prompt, for example '<image>\\n{chosen} {PLACE}'",
            )
        return f"{getattr(self.processor, 'image_token', None) or '<image>'}{PLACE}"

    def about(self) -> dict[str, Any]:
        """Say the prompt as it was given to the processor."""
        template = self.template()
        return {"prompt": self._fill(PLACE).text if template is None else template}

    def _fill(self, caption: str) -> Prompt:
        template = self.template()
        if template is None:
            return fill_chat(self.processor, caption, self.choices.prompt or self.prompt or INSTRUCTION)
        return fill(template, caption)

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Put each caption into the prompt and process it with the image."""
        prompts = [self._fill(caption) for caption in captions]
        named: dict[str, Any] = {}
        template = self.template()
        as_suffix = template is not None and template.endswith(PLACE) and takes(type(self.processor).__call__, "suffix")
        if as_suffix:
            # The caption is what the model would write, so it must not be part of the prefix, which sees all of itself.
            named["suffix"] = list(captions)
            texts = [prompt.text[: prompt.start] for prompt in prompts]
        else:
            texts = [prompt.text for prompt in prompts]
        tokenizer = tokenizer_of(self.processor)
        bos = getattr(tokenizer, "bos_token", None)
        if isinstance(bos, str) and bos and all(text.startswith(bos) for text in texts):
            named["add_special_tokens"] = False
        images = [[image] for _ in captions]
        try:
            encoded = self.processor(
                text=list(texts),
                images=images,
                padding=True,
                return_tensors="pt",
                return_offsets_mapping=True,
                return_text_replacement_offsets=True,
                **named,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AttnevalError(
                f"{type(self.processor).__name__} cannot process the prompt {texts[0]!r} with the image ({error})",
                hint="give the whole prompt, or prepare() in an adapter",
            ) from error
        if "offset_mapping" not in encoded:
            raise AttnevalError(
                f"{type(self.processor).__name__} does not say where its tokens lie in the text",
                hint="load the fast tokenizer, or give prepare() in an adapter",
            )
        if as_suffix:
            kinds = encoded["token_type_ids"]
            places = [Prompt(caption, 0, caption) for caption in captions]
            tokens = [
                tokens_of(offsets, place, among=kind == 1)
                for offsets, place, kind in zip(encoded["offset_mapping"], places, kinds, strict=True)
            ]
        else:
            shown = self._laid_out(prompts, texts, images)
            replaced = encoded.get("text_replacement_offsets") or [[] for _ in captions]
            last = max(int(torch.as_tensor(offsets).max()) for offsets in encoded["offset_mapping"])
            if not any(replaced) and last > max(len(prompt.text) for prompt in shown):
                raise AttnevalError(
                    f"{type(self.processor).__name__} does not say what it wrote in place of the image",
                    hint="install a newer transformers, or give prepare() in an adapter",
                )
            places = [expanded(prompt, entries) for prompt, entries in zip(shown, replaced, strict=True)]
            tokens = [
                tokens_of(offsets, place) for offsets, place in zip(encoded["offset_mapping"], places, strict=True)
            ]
        return Prepared(on_device(self.model, encoded), tokens, image, image_id)

    def _laid_out(self, prompts: list[Prompt], texts: list[str], images: Any) -> list[Prompt]:
        """Follow the prompts into the text that the processor makes of them before it writes placeholders out."""
        lay_out = getattr(self.processor, "prepare_inputs_layout", None)
        if lay_out is None:
            return prompts
        _, changed, *_ = lay_out(images=images, text=list(texts))
        return [laid_out(prompt, text) for prompt, text in zip(prompts, changed, strict=True)]

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model once and keep the captions' rows on the cells."""
        inputs, columns = prepared.inputs, self.cells(prepared)
        rows = rows_of(prepared.tokens, shift=1 if self.choices.rows == "predict" else 0)
        with capture(
            self.model, rows=rows, columns=columns, layers=self.choices.wanted_layers, keep=self.reduced, stop=True
        ) as maps:
            self.model(**inputs, **self._once(1))
        return self.joined(maps)

    def _once(self, last: int) -> dict[str, Any]:
        """Name what keeps one forward pass small: logits of the last positions alone, and no cache."""
        parameters = inspect.signature(self.model.forward).parameters
        named: dict[str, Any] = {}
        if "logits_to_keep" in parameters:
            named["logits_to_keep"] = last
        if "use_cache" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            named["use_cache"] = False
        return named

    def scores(self, images: Sequence[Image], caption: str, image_id: str = "") -> list[float]:
        """Average the log-likelihood of the caption's tokens after each image, in single precision."""
        return [self._log_likelihood(self.prepare(image, [caption], image_id)) for image in images]

    def _log_likelihood(self, prepared: Prepared) -> float:
        ids, position = prepared.inputs["input_ids"][0], torch.from_numpy(prepared.tokens[0].position)
        # A token is predicted at the position before it.
        before = rows_of(prepared.tokens, shift=1)[0]
        last = len(ids) - int(before[0])
        with torch.inference_mode(), memory_enough(1):
            logits = self.model(**prepared.inputs, **self._once(last)).logits[0]
        if len(logits) not in {len(ids), last}:
            raise AttnevalError(
                f"image {prepared.image_id}: {type(self.model).__name__} gives logits of {len(logits)} positions, and "
                f"there are {len(ids)}",
                hint="scores() of an adapter can say what the model's score is",
            )
        places = (before - (len(ids) - len(logits))).to(logits.device)
        chances = logits[places].float().log_softmax(-1)
        return float(chances.gather(-1, ids[position.to(ids.device)].to(logits.device)[:, None]).mean())


def _positions(columns: Any) -> Tensor:
    index = positions(columns, "columns")
    if index is None:
        raise AttnevalError("columns() of the adapter gives nothing", hint="return positions in the sequence")
    return index


def _has_encoder(model: Any) -> bool:
    """Tell if the text goes through an encoder and a decoder: there the caption and the image are in two sequences."""
    config = getattr(model, "config", None)
    parts = (config, getattr(config, "text_config", None))
    return any(bool(getattr(part, "is_encoder_decoder", False)) for part in parts)


def image_token_id(model: Any) -> int | None:
    """Return the id of a model's image tokens, None where its configuration names none."""
    config = getattr(model, "config", None)
    for name in ("image_token_id", "image_token_index"):
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return None
