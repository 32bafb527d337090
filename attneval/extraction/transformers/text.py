"""Captions inside prompts and their tokens, by character spans alone: nothing is searched for.

A prompt is text with a place for the caption. A processor may put text of its own in front of and behind it and writes
image placeholders out as hundreds of tokens; what it replaced where is known from it, so the caption's place can be
followed. Needs neither torch nor transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

PLACE = "{caption}"
"""Where the caption goes in a prompt."""

INSTRUCTION = "Describe the image."
"""What the user asks in the default prompt of chat models."""


@dataclass(frozen=True)
class Prompt:
    """A caption within a text that is given to a processor.

    Attributes:
        text: The whole text.
        start: Code point at which the caption begins.
        caption: The caption as it stands there.
    """

    text: str
    start: int
    caption: str

    @property
    def stop(self) -> int:
        """Code point after the caption."""
        return self.start + len(self.caption)


@record
class Tokens:
    """The tokens of a caption in a sequence.

    Attributes:
        position: int64[T], positions in the sequence, ascending.
        span: int64[T, 2], half-open code points in the caption, white space at the ends left out.
    """

    position: NDArray[np.int64]
    span: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.position)


def fill(template: str, caption: str) -> Prompt:
    """Put a caption into the one `{caption}` of a template.

    Raises:
        AttnevalError: The template has none or several.
    """
    if template.count(PLACE) != 1:
        raise AttnevalError(
            f"the prompt {template!r} has {template.count(PLACE)} places for the caption",
            hint=f"write {PLACE} once, for example 'USER: <image> Describe the image. ASSISTANT: {PLACE}'",
        )
    before, after = template.split(PLACE)
    return Prompt(before + caption + after, len(before), caption)


def fill_chat(processor: Any, caption: str, instruction: str = INSTRUCTION) -> Prompt:
    """Render a processor's chat template: an image and an instruction, and the caption as the open answer.

    Raises:
        AttnevalError: The template does not end with the caption.
    """
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": instruction}]},
        {"role": "assistant", "content": [{"type": "text", "text": caption}]},
    ]
    text = processor.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    # Templates may trim what is said.
    said = caption if isinstance(text, str) and text.endswith(caption) else caption.strip()
    if not isinstance(text, str) or not text.endswith(said):
        raise AttnevalError(
            f"the chat template of {type(processor).__name__} does not end with the open answer {caption!r}",
            hint=f"give the whole prompt yourself, with {PLACE} where the caption goes",
        )
    before = 0 if said == caption else len(caption) - len(caption.lstrip())
    return Prompt(text, len(text) - len(said) - before, caption)


def laid_out(prompt: Prompt, text: str) -> Prompt:
    """Follow a prompt into what a processor made of it by putting text in front, behind or before the caption.

    Everything from the caption on must have stayed in one piece; then its last occurrence is its place.

    Raises:
        AttnevalError: It has not.
    """
    if text == prompt.text:
        return prompt
    rest = prompt.text[prompt.start :]
    start = text.rfind(rest)
    if start < 0 or not _is_subsequence(prompt.text[: prompt.start], text[:start]):
        raise AttnevalError(f"the processor rewrites the prompt {prompt.text!r} into {_short(text)!r}")
    return Prompt(text, start, prompt.caption)


def _is_subsequence(small: str, large: str) -> bool:
    rest = iter(large)
    return all(character in rest for character in small)


def expanded(prompt: Prompt, replaced: Sequence[Mapping[str, Any]]) -> Prompt:
    """Write placeholders out as a processor did.

    Args:
        prompt: The prompt as the processor laid it out.
        replaced: Its `text_replacement_offsets` of this text: `span` in the prompt and `replacement`.

    Raises:
        AttnevalError: A placeholder lies within the caption.
    """
    pieces, done, start = [], 0, prompt.start
    for entry in sorted(replaced, key=lambda entry: int(entry["span"][0])):
        first, last = map(int, entry["span"])
        new = str(entry["replacement"])
        if first < prompt.stop and last > prompt.start:
            raise AttnevalError(
                f"caption {prompt.caption!r} holds the image placeholder {prompt.text[first:last]!r}",
                hint="it would be read as an image",
            )
        pieces += [prompt.text[done:first], new]
        done = last
        if last <= prompt.start:
            start += len(new) - (last - first)
    text = "".join([*pieces, prompt.text[done:]])
    return Prompt(text, start, prompt.caption)


def tokens_of(offsets: ArrayLike, prompt: Prompt, *, among: ArrayLike | None = None) -> Tokens:
    """Choose the tokens of the caption.

    Special tokens and padding have empty spans and are left out, as are tokens of white space alone; a token of the
    unknown kind is told by its span, not its id. A token that begins in front of the caption counts with what is left
    of it, if that has a letter or digit.

    Args:
        offsets: int[S, 2], half-open code points of each token in `prompt.text`, (0, 0) for special tokens.
        prompt: The text that was tokenised.
        among: bool[S], tokens that can be the caption's, where the text was given in several pieces.

    Raises:
        AttnevalError: A letter or digit of the caption is in no token: it was cut off.
    """
    span = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    inside = (span[:, 0] < span[:, 1]) & (span[:, 0] < prompt.stop) & (span[:, 1] > prompt.start)
    if among is not None:
        inside &= np.asarray(among, dtype=bool)
    positions, spans = [], []
    covered = np.zeros(len(prompt.caption), bool)
    for position in np.flatnonzero(inside).tolist():
        first, last = (span[position] - prompt.start).tolist()
        reaches_out = first < 0 or last > len(prompt.caption)
        first, last = _stripped(prompt.caption, max(first, 0), min(last, len(prompt.caption)))
        piece = prompt.caption[first:last]
        if not piece or (reaches_out and not any(map(str.isalnum, piece))):
            continue
        covered[first:last] = True
        positions.append(position)
        spans.append((first, last))
    missing = [place for place, character in enumerate(prompt.caption) if character.isalnum() and not covered[place]]
    if missing:
        known = prompt.caption[: missing[0]]
        raise AttnevalError(
            f"caption {_short(prompt.caption)!r} is cut off after {_short(known)!r}: {len(missing)} letters are in no "
            "token",
            hint="the tokenizer's longest sequence is too short for it",
        )
    if not positions:
        raise AttnevalError(f"caption {prompt.caption!r} has no token")
    return Tokens(np.array(positions, np.int64), np.array(spans, np.int64).reshape(-1, 2))


def _stripped(text: str, first: int, last: int) -> tuple[int, int]:
    while first < last and text[first].isspace():
        first += 1
    while first < last and text[last - 1].isspace():
        last -= 1
    return first, last


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2]}...{text[-limit // 2 :]}"
