"""Where the tokens of a caption lie, for every kind of tokenizer, alone and in a prompt."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("transformers")

from attneval.errors import AttnevalError
from attneval.extraction import transformers as hf
from attneval.extraction.transformers.text import Prompt, expanded, fill, fill_chat, laid_out, tokens_of

from .kit import llava, picture, tokenizer

CAPTION = "A man 's sun-glasses , café"
KINDS = ("byte_level", "clip", "wordpiece", "unigram", "sentencepiece")


def pieces(kind: str, prompt: Prompt, **given: bool) -> list[str]:
    encoded = tokenizer(kind, **given)(prompt.text, return_offsets_mapping=True, padding="max_length", max_length=90)
    found = tokens_of(encoded["offset_mapping"], prompt)
    assert (found.position[1:] > found.position[:-1]).all()
    return [prompt.caption[first:last] for first, last in found.span.tolist()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [{}, {"begin": True, "end": True}])
def test_tokens_of_a_caption_alone_spell_it(kind: str, given: dict[str, bool]) -> None:
    found = pieces(kind, Prompt(CAPTION, 0, CAPTION), **given)
    assert all(piece == piece.strip() != "" for piece in found)
    if kind in {"byte_level", "sentencepiece"}:
        # é may be two tokens, each of which has the span of the whole character.
        found = [piece for place, piece in enumerate(found) if piece != "é" or found[place - 1] != "é"]
    assert "".join(found).replace(" ", "") == CAPTION.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_a_caption_in_a_prompt_are_those_of_its_place(kind: str) -> None:
    prompt = fill("A man : {caption} . A man", "A man")
    assert (prompt.start, prompt.stop) == (8, 13)
    encoded = tokenizer(kind)(prompt.text, return_offsets_mapping=True)
    found = tokens_of(encoded["offset_mapping"], prompt)
    assert "".join(prompt.caption[a:b] for a, b in found.span.tolist()) in {"Aman", "A man"}
    offsets = encoded["offset_mapping"]
    assert all(offsets[place][1] > prompt.start and offsets[place][0] < prompt.stop for place in found.position)


def test_tokens_that_reach_out_of_the_caption_are_cut() -> None:
    prompt = Prompt("say: A dog.", 5, "A dog")
    found = tokens_of([(0, 0), (0, 3), (3, 6), (6, 10), (10, 11), (0, 0)], prompt)
    assert found.span.tolist() == [[0, 1], [2, 5]]
    assert found.position.tolist() == [2, 3]
    # What is left of a token is a letter, or it is no token of the caption.
    dotted = Prompt("say: . dog", 5, ". dog")
    assert tokens_of([(0, 3), (3, 6), (6, 10)], dotted).span.tolist() == [[2, 5]]


def test_an_unknown_word_with_the_id_of_a_special_token_counts() -> None:
    words = tokenizer("clip", begin=True, end=True)
    encoded = words("a ж", return_offsets_mapping=True)
    found = tokens_of(encoded["offset_mapping"], Prompt("a ж", 0, "a ж"))
    # Its two bytes are two unknown tokens.
    assert found.span.tolist() == [[0, 1], [2, 3], [2, 3]]
    assert encoded["input_ids"][found.position[-1]] == encoded["input_ids"][-1]


def test_a_caption_that_is_cut_off_is_refused() -> None:
    encoded = tokenizer("wordpiece")(CAPTION, return_offsets_mapping=True, truncation=True, max_length=3)
    with pytest.raises(AttnevalError, match=r"is cut off after \"A man '\": 15 letters"):
        tokens_of(encoded["offset_mapping"], Prompt(CAPTION, 0, CAPTION))
    with pytest.raises(AttnevalError, match=r"caption ' \. ' has no token"):
        tokens_of([(0, 0)], Prompt(" . ", 0, " . "))


def test_placeholders_are_written_out() -> None:
    prompt = fill("<image> and <image>: {caption}", "<i> a")
    replaced = [
        {"span": (0, 7), "replacement": "<image>" * 3},
        {"span": (12, 19), "replacement": "<image>" * 2},
    ]
    found = expanded(prompt, replaced)
    assert found.text[found.start : found.stop] == "<i> a"
    assert found.text.startswith("<image><image><image> and <image><image>: ")
    behind = expanded(fill("{caption} <image>", "a"), [{"span": (2, 9), "replacement": "<image>" * 3}])
    assert (behind.start, behind.text) == (0, "a " + "<image>" * 3)
    with pytest.raises(AttnevalError, match="holds the image placeholder '<image>'"):
        expanded(fill("{caption}", "a <image> b"), [{"span": (2, 9), "replacement": "<image>" * 3}])


def test_what_a_processor_puts_around_a_prompt_moves_the_caption() -> None:
    found = laid_out(fill("<image>say {caption}", "a dog"), "<image><bos>say a dog\n")
    assert found.text[found.start : found.stop] == "a dog"
    # The last occurrence is the caption's: what stands in front of it may hold the same words.
    again = laid_out(fill("<image>a dog: {caption}", "a dog"), "<image><bos>a dog: a dog\n")
    assert again.start == 19
    with pytest.raises(AttnevalError, match="rewrites the prompt"):
        laid_out(fill("say {caption}", "a dog"), "say a d og")


def test_templates_have_one_place() -> None:
    for template in ("no place", "{caption} {caption}"):
        with pytest.raises(AttnevalError, match="places for the caption"):
            fill(template, "a")


def test_chat_templates_end_with_the_open_answer() -> None:
    _, processor = llava()
    prompt = fill_chat(processor, CAPTION, "Say it.")
    assert prompt.text == f"USER: <image>\nSay it.</s>ASSISTANT: {CAPTION}"
    assert prompt.text[prompt.start :] == CAPTION
    closing = processor.chat_template
    try:
        # Gemma's template trims what is said; spans stay those of the caption as it is.
        processor.chat_template = closing.replace("c['text']", "c['text'] | trim")
        trimmed = fill_chat(processor, f"  {CAPTION} \n", "Say it.")
        assert trimmed.text[trimmed.start + 2 :] == CAPTION
        assert trimmed.caption == f"  {CAPTION} \n"
        adapter, _ = hf.choose_adapter(*llava(), hf.Choices())
        [found] = adapter.maps(picture(), [f"  {CAPTION} \n"])
        [plain] = adapter.maps(picture(), [CAPTION])
        assert (found.span == plain.span + 2).all()
        assert np.allclose(found.weights, plain.weights)
    finally:
        processor.chat_template = closing
    try:
        processor.chat_template = (
            "{% for m in messages %}{% for c in m['content'] %}{{ c.get('text', '') | upper }}{% endfor %}{% endfor %}"
        )
        with pytest.raises((AttnevalError, ValueError)):
            fill_chat(processor, CAPTION)
    finally:
        processor.chat_template = closing
