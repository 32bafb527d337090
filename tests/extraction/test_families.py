"""Maps of every family against the model's own outputs, cut by hand."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from attneval.errors import AttnevalError
from attneval.extraction.transformers.adapters import FAMILIES, choose_adapter
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.regions import Boxes, Grid, edges

from . import others, vlms
from .kit import CAPTIONS, llava, picture, torch

if TYPE_CHECKING:
    from attneval.extraction.transformers.families.base import Adapter, CaptionMap

# PaliGemma's processor makes arrays of tensors in a way that numpy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIMPLE = ("a man in red shirt", "the dog runs on grass , with a woman")


def adapter_of(model: Any, processor: Any, **choices: Any) -> Adapter:
    boxes = choices.pop("boxes", None)
    return choose_adapter(model, processor, Choices.checked(**choices), boxes=boxes)[0]


def positions_by_hand(
    words: Any, caption: str, *, template: str = "{caption}", side: str = "right", longest: int = 0
) -> list[int]:
    """Positions of the tokens with any text of the caption, without what is under test."""
    text = template.replace("{caption}", caption)
    start = template.index("{caption}")
    spans = words(text, return_offsets_mapping=True)["offset_mapping"]
    shift = longest - len(spans) if side == "left" else 0
    return [
        shift + place
        for place, (first, last) in enumerate(spans)
        if text[max(first, start) : min(last, start + len(caption))].strip()
    ]


def longest_of(words: Any, captions: Any, template: str = "{caption}") -> int:
    return max(len(words(template.replace("{caption}", caption))["input_ids"]) for caption in captions)


def assert_same(found: CaptionMap, reference: Any) -> None:
    """A map, its normalisation undone, is what it was cut from, to a thousandth of how much columns differ."""
    raw = found.weights if found.mass is None else found.weights * found.mass[..., None]
    expected = np.asarray(reference)
    assert raw.shape == expected.shape
    spread = np.ptp(expected, axis=-1).max()
    assert spread > 0
    assert np.abs(raw - expected).max() < 1e-3 * spread


@pytest.mark.parametrize("name", vlms.CAUSAL)
@pytest.mark.parametrize("rows", ["token", "predict"])
def test_causal_models_are_eager_attention_cut_to_the_cells(name: str, rows: str) -> None:
    made = vlms.made(name)
    image = picture(500, 375)
    adapter = adapter_of(made.model, made.processor, heads="all", prompt=made.prompt, rows=rows)
    assert type(adapter).__name__ == "Causal"
    maps = adapter.maps(image, SIMPLE)
    prepared = adapter.prepare(image, SIMPLE)
    ids = prepared.inputs["input_ids"]
    made.model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            whole = made.model(**prepared.inputs, output_attentions=True).attentions
    finally:
        made.model.set_attn_implementation("sdpa")
    words = made.processor.tokenizer
    for sample, (caption, found) in enumerate(zip(SIMPLE, maps, strict=True)):
        cells = (ids[sample] == made.model.config.image_token_id).nonzero()[:, 0]
        if len(cells) > found.weights.shape[-1]:  # newline tokens of a mosaic: those whose states are the same
            assert name.startswith("llava_")
            cells = adapter.cells(prepared)[sample]  # type: ignore[attr-defined] # see its own test
        # The caption ends the prompt, but for what PaliGemma puts behind it.
        expected = words(caption, add_special_tokens=False)["input_ids"]
        tail = ids[sample].tolist()
        start = max(place for place in range(len(tail)) if tail[place : place + len(expected)] == expected)
        where = range(start - (rows == "predict"), start + len(expected) - (rows == "predict"))
        reference = torch.cat([layer[sample][:, list(where)][:, :, cells] for layer in whole])
        assert [caption[a:b] for a, b in found.span.tolist()] == caption.split()
        assert_same(found, reference)
        assert np.allclose(found.weights.sum(-1), 1, atol=1e-5)
    assert adapter.channels == [(layer, head) for layer in range(2) for head in range(2)]


def test_a_caption_that_ends_the_prefix_is_a_suffix_where_the_processor_has_one() -> None:
    made = vlms.made("paligemma")
    adapter = adapter_of(made.model, made.processor, prompt="<image>describe{caption}")
    prepared = adapter.prepare(picture(), SIMPLE)
    kinds = prepared.inputs["token_type_ids"]
    assert all(bool((kinds[row, own.position] == 1).all()) for row, own in enumerate(prepared.tokens))
    with torch.inference_mode():
        made.model.set_attn_implementation("eager")
        whole = made.model(**prepared.inputs, output_attentions=True).attentions[0]
        made.model.set_attn_implementation("sdpa")
    own = prepared.tokens[1].position
    later = whole[1, :, int(own[0]), int(own[1]) :].sum()
    assert float(later) < 1e-6


def test_left_padding_and_chat_templates() -> None:
    model, processor = llava()
    adapter = adapter_of(model, processor, heads="all")
    image = picture()
    together = adapter.maps(image, CAPTIONS)
    assert len({len(one.span) for one in together}) > 1
    for caption, found in zip(CAPTIONS, together, strict=True):
        [alone] = adapter.maps(image, [caption])
        assert np.allclose(alone.weights, found.weights, atol=1e-5)
        assert np.array_equal(alone.span, found.span)
    assert adapter.about()["prompt"].endswith("ASSISTANT: {caption}")


def test_half_precision_stays_close_and_is_normalised_in_single() -> None:
    model, processor = llava()
    image = picture()
    reference = adapter_of(model, processor).maps(image, CAPTIONS)
    half = copy.deepcopy(model).to(torch.bfloat16)
    for one, other in zip(adapter_of(half, processor).maps(image, CAPTIONS), reference, strict=True):
        assert np.allclose(one.weights.sum(-1), 1, atol=1e-6)
        assert np.abs(one.weights - other.weights).max() < 0.05
        assert one.mass is not None
        assert other.mass is not None
        assert np.abs(one.mass - other.mass).max() < 0.05


def test_a_caption_with_a_placeholder_is_refused() -> None:
    with pytest.raises(AttnevalError, match=r"cannot process the prompt|holds the image placeholder"):
        adapter_of(*llava()).maps(picture(), ["A man <image> rides"])


def test_channels_are_what_was_chosen() -> None:
    model, processor = llava()
    image, captions = picture(), CAPTIONS[:2]
    every = adapter_of(model, processor, heads="all")
    raw = [one.weights * one.mass[..., None] for one in every.maps(image, captions) if one.mass is not None]

    def maps(**choices: Any) -> tuple[list[tuple[int, int]], Any]:
        adapter = adapter_of(model, processor, **choices)
        first = adapter.maps(image, captions)[0]
        assert first.mass is not None
        return adapter.channels, first.weights * first.mass[..., None]

    one = raw[0].reshape(2, 4, *raw[0].shape[1:])
    cases: list[tuple[dict[str, Any], list[tuple[int, int]], Any]] = [
        ({"heads": "mean"}, [(0, -1), (1, -1)], one.mean(1)),
        ({"heads": "max"}, [(0, -1), (1, -1)], one.max(1)),
        ({"heads": "mean", "layers": "1"}, [(1, -1)], one[1:].mean(1)),
        ({"heads": "1.3,0.2"}, [(1, 3), (0, 2)], np.stack([one[1, 3], one[0, 2]])),
        ({"heads": "1.3,0.2", "over_layers": "mean"}, [(-1, -1)], (one[1, 3] + one[0, 2])[None] / 2),
        ({"heads": "mean", "over_layers": "mean"}, [(-1, -1)], one.mean((0, 1))[None]),
        ({"heads": "all", "over_layers": "mean"}, [(-1, head) for head in range(4)], one.mean(0)),
    ]
    for choices, channels, reference in cases:
        found, weights = maps(**choices)
        assert found == channels
        assert np.allclose(weights, reference, atol=1e-6), choices
    with pytest.raises(AttnevalError, match="layer 1 has no head 4"):
        maps(heads="1.4")
    with pytest.raises(AttnevalError, match="no attention of layers 2"):
        maps(layers=[2])


def test_clip_is_the_cosine_of_projected_tokens_and_normalised_patches() -> None:
    model, processor = others.clip()
    image = picture()
    adapter = adapter_of(model, processor)
    assert (type(adapter).__name__, adapter.kind, adapter.normalised_over) == ("Dual", "similarity", "none")
    maps = adapter.maps(image, CAPTIONS)
    pixels = processor.image_processor(images=image, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        states = model.vision_model(pixels).last_hidden_state[0, 1:]
        patches = torch.nn.functional.normalize(
            model.visual_projection(model.vision_model.post_layernorm(states)), dim=-1
        )
        for caption, found in zip(CAPTIONS, maps, strict=True):
            encoded = processor.tokenizer(caption, return_tensors="pt")
            text = model.text_projection(model.text_model(**encoded).last_hidden_state)[0]
            where = positions_by_hand(processor.tokenizer, caption)
            reference = torch.nn.functional.normalize(text[where], dim=-1) @ patches.T
            assert_same(found, reference[None])
            assert found.mass is None
            assert found.regions == Grid(4, 4, (15.0, 15.0, 15.0, 0.0))
    assert adapter.about()["signed"]


@pytest.mark.parametrize("name", ["siglip", "siglip2"])
def test_siglip_is_the_cosine_of_what_comes_out_of_the_towers(name: str) -> None:
    model, processor = getattr(others, name)()
    image = picture()
    maps = adapter_of(model, processor).maps(image, CAPTIONS)
    shown = processor.image_processor(images=image, return_tensors="pt")
    with torch.inference_mode():
        if name == "siglip":
            patches = model.vision_model(shown["pixel_values"]).last_hidden_state[0]
        else:
            rows, cols = shown["spatial_shapes"][0].tolist()
            assert (rows, cols) == (4, 6)
            states = model.vision_model(shown["pixel_values"], shown["pixel_attention_mask"], shown["spatial_shapes"])
            patches = states.last_hidden_state[0, : rows * cols]
        for caption, found in zip(CAPTIONS, maps, strict=True):
            encoded = processor.tokenizer(caption, padding="max_length", max_length=77, return_tensors="pt")
            text = model.text_model(input_ids=encoded["input_ids"]).last_hidden_state[0]
            side = processor.tokenizer.padding_side
            where = positions_by_hand(processor.tokenizer, caption, side=side, longest=77)
            reference = torch.nn.functional.cosine_similarity(text[where][:, None], patches[None], dim=-1)
            assert_same(found, reference[None])


@pytest.mark.parametrize("name", ["blip", "blip_caption"])
def test_blip_is_cross_attention_without_the_class_token(name: str) -> None:
    model, processor = getattr(others, name)()
    image = picture()
    adapter = adapter_of(model, processor, heads="all")
    assert type(adapter).__name__ == "Cross"
    maps = adapter.maps(image, CAPTIONS)
    pixels = processor.image_processor(images=image, return_tensors="pt")["pixel_values"]
    part = model.text_encoder if name == "blip" else model.text_decoder
    with torch.inference_mode():
        states = model.vision_model(pixels).last_hidden_state
        for caption, found in zip(CAPTIONS, maps, strict=True):
            encoded = processor.tokenizer(caption, return_tensors="pt")
            outputs = part(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                encoder_hidden_states=states,
                encoder_attention_mask=torch.ones(1, states.shape[1]),
                output_attentions=True,
            )
            where = positions_by_hand(processor.tokenizer, caption)
            reference = torch.cat([layer[0][:, where][:, :, 1:] for layer in outputs.cross_attentions])
            assert_same(found, reference)


def test_gradcam_is_weights_times_positive_gradients_of_the_matching_score() -> None:
    model, processor = others.blip()
    image = picture()
    adapter = adapter_of(model, processor, weights="gradcam", heads="all")
    assert (adapter.kind, adapter.normalised_over) == ("relevance", "none")
    grads = [parameter.requires_grad for parameter in model.parameters()]
    maps = adapter.maps(image, CAPTIONS)
    assert [parameter.requires_grad for parameter in model.parameters()] == grads
    pixels = processor.image_processor(images=image, return_tensors="pt")["pixel_values"]
    for caption, found in zip(CAPTIONS, maps, strict=True):
        encoded = processor.tokenizer(caption, return_tensors="pt")
        states = model.vision_model(pixels).last_hidden_state.detach().requires_grad_(True)
        outputs = model.text_encoder(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            encoder_hidden_states=states,
            encoder_attention_mask=torch.ones(1, states.shape[1]),
            output_attentions=True,
        )
        weights = outputs.cross_attentions
        score = model.itm_head(outputs.last_hidden_state[:, 0])[0, 1]
        gradients = torch.autograd.grad(score, weights)
        where = positions_by_hand(processor.tokenizer, caption)
        product = [
            (w * g.clamp(min=0)).detach()[0][:, where][:, :, 1:] for w, g in zip(weights, gradients, strict=True)
        ]
        assert_same(found, torch.cat(product))
        # Only the first token of the last layer has a path to the score.
        assert not found.weights[4:].any()
        assert found.weights[:4].any()
    with pytest.raises(AttnevalError, match="no itm_head"):
        adapter_of(*others.blip_caption(), weights="gradcam")


def test_vilt_has_its_shuffled_patches_put_back_in_order() -> None:
    model, processor = others.vilt()
    image = picture()
    adapter = adapter_of(model, processor, heads="all")
    assert type(adapter).__name__ == "Joint"
    first, second = (adapter.maps(image, CAPTIONS) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        assert np.allclose(one.weights, two.weights, atol=1e-6)
    assert "visual_embed" not in vars(model.embeddings)
    shown = processor.image_processor(images=image, return_tensors="pt")
    kept: list[Any] = []
    embed = model.embeddings.visual_embed

    def listening(*given: Any, **named: Any) -> Any:
        kept.append(embed(*given, **named))
        return kept[-1]

    for caption, found in zip(CAPTIONS, first, strict=True):
        encoded = processor.tokenizer(caption, return_tensors="pt")
        model.embeddings.visual_embed = listening
        try:
            with torch.inference_mode():
                whole = model(**encoded, **shown, output_attentions=True).attentions
        finally:
            del model.embeddings.visual_embed
        where = positions_by_hand(processor.tokenizer, caption)
        length = encoded["input_ids"].shape[1]
        reference = torch.zeros(8, len(where), 24)
        for place, (row, col) in enumerate(kept[-1][2][0][0].tolist()):
            cut = torch.cat([layer[0][:, where, length + 1 + place] for layer in whole])
            reference[:, :, row * 6 + col] = cut
        assert_same(found, reference)
        assert found.regions == Grid(4, 6, (15.0, 15.0, 0, 0))


def test_flava_is_the_multimodal_encoder_from_text_to_patches() -> None:
    model, processor = others.flava()
    image = picture()
    maps = adapter_of(model, processor, heads="all").maps(image, CAPTIONS)
    shown = processor.image_processor(images=image, return_tensors="pt")
    for caption, found in zip(CAPTIONS, maps, strict=True):
        encoded = processor.tokenizer(caption, return_tensors="pt")
        before = model.multimodal_model.config.output_attentions
        model.multimodal_model.config.output_attentions = True
        try:
            with torch.inference_mode():
                whole = model(**encoded, **shown).multimodal_output.attentions
        finally:
            model.multimodal_model.config.output_attentions = before
        where = [1 + 1 + 16 + place for place in positions_by_hand(processor.tokenizer, caption)]
        reference = torch.cat([layer[0][:, where][:, :, 2:18] for layer in whole])
        assert_same(found, reference)


def test_lxmert_and_visual_bert_look_at_given_boxes() -> None:
    given = others.regions()
    boxes = {"7": (given["box"], given["features"])}
    image = picture()
    scale = torch.tensor([90.0, 60.0, 90.0, 60.0])
    features = torch.from_numpy(given["features"])[None]
    for name in ("lxmert", "visual_bert"):
        model, words = getattr(others, name)()
        maps = adapter_of(model, words, heads="all", boxes=boxes).maps(image, CAPTIONS, "7")
        for caption, found in zip(CAPTIONS, maps, strict=True):
            encoded = dict(words(caption, return_tensors="pt"))
            where = positions_by_hand(words, caption)
            length = encoded["input_ids"].shape[1]
            with torch.inference_mode():
                if name == "lxmert":
                    place = torch.from_numpy(given["box"])[None] / scale
                    outputs = model(**encoded, visual_feats=features, visual_pos=place, output_attentions=True)
                    cut = [layer[0][:, where] for layer in outputs.cross_encoder_attentions]
                else:
                    ones = torch.ones(1, 6, dtype=torch.long)
                    outputs = model(
                        **encoded,
                        visual_embeds=features,
                        visual_attention_mask=ones,
                        visual_token_type_ids=ones,
                        output_attentions=True,
                    )
                    cut = [layer[0][:, where][:, :, length:] for layer in outputs.attentions]
            assert_same(found, torch.cat(cut))
            assert isinstance(found.regions, Boxes)
            assert np.allclose(found.regions.array, given["box"], atol=1e-4)
        with pytest.raises(AttnevalError, match="image 8 has no regions"):
            adapter_of(model, words, boxes=boxes).check_image("8")
        with pytest.raises(AttnevalError, match="is given regions and their features, and none are here"):
            adapter_of(model, words).maps(image, CAPTIONS, "7")


@pytest.mark.parametrize("name", ["GroundingDino", "MMGroundingDino"])
def test_grounding_dino_scores_the_boxes_of_each_caption(name: str) -> None:
    model, processor = others.grounding_dino(name)
    image = picture()
    adapter = adapter_of(model, processor)
    assert adapter.regions_per_caption
    maps = adapter.maps(image, CAPTIONS)
    shown = processor.image_processor(images=image, return_tensors="pt")
    for caption, found in zip(CAPTIONS, maps, strict=True):
        template = "{caption}" if caption.endswith(".") else "{caption} ."
        encoded = processor.tokenizer(template.replace("{caption}", caption), return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**encoded, **shown)
        where = positions_by_hand(processor.tokenizer, caption, template=template)
        assert_same(found, outputs.logits[0].sigmoid()[:, where].T[None])
        x, y, w, h = outputs.pred_boxes[0].unbind(-1)
        reference = torch.stack([(x - w / 2) * 90, (y - h / 2) * 60, (x + w / 2) * 90, (y + h / 2) * 60], -1)
        assert isinstance(found.regions, Boxes)
        assert np.allclose(found.regions.array, reference, atol=1e-2)
    assert not np.allclose(edges(maps[0].regions), edges(maps[1].regions))


@pytest.mark.parametrize("name", ["OwlViT", "Owlv2"])
def test_owl_scores_phrases(name: str) -> None:
    model, processor = others.owl(name)
    image = picture()
    adapter = adapter_of(model, processor)
    adapter.phrases = {("7", CAPTIONS[0]): [(0, 5), (23, 36)]}
    maps = adapter.maps(image, CAPTIONS[:2], "7")
    assert [maps[0].span.tolist(), maps[1].span.tolist()] == [[[0, 5], [23, 36]], [[0, len(CAPTIONS[1])]]]
    shown = processor.image_processor(images=image, return_tensors="pt")
    side = 90 if name == "Owlv2" else (90, 60)
    width, height = (side, side) if isinstance(side, int) else side
    for found, queries in ((maps[0], ["A man", CAPTIONS[0][23:36]]), (maps[1], [CAPTIONS[1]])):
        encoded = processor.tokenizer(queries, padding="max_length", max_length=64, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**encoded, **shown)
        assert_same(found, outputs.logits[0].sigmoid().T[None])
        x, y, w, h = outputs.pred_boxes[0].unbind(-1)
        reference = torch.stack(
            [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height], -1
        )
        assert isinstance(found.regions, Boxes)
        assert np.allclose(found.regions.array, reference, atol=0.1)


def test_choices_that_do_not_belong_are_refused() -> None:
    for made, choices, message in (
        (others.clip(), {"weights": "attention"}, "weights 'attention' do not exist for CLIPModel"),
        (others.clip(), {"rows": "predict"}, "rows 'predict' are for causal models"),
        (llava(), {"weights": "gradcam"}, "weights 'gradcam' do not exist for Llava"),
        (llava(), {"prompt": "<image><image>{caption}"}, "has 2 places for the image"),
    ):
        with pytest.raises(AttnevalError, match=message):
            adapter_of(*made, **choices).maps(picture(), CAPTIONS)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"rows": "all"}, "rows 'all' does not exist; use token, predict"),
        ({"layers": "3-1"}, "run backwards"),
        ({"layers": "x"}, "layers 'x' are no numbers"),
        ({"layers": [1, 1]}, "twice the same"),
        ({"heads": "1"}, "heads '1' do not exist"),
        ({"heads": "1.1", "layers": [1]}, "leave the layers out"),
    ]
    for fields, message in wrong:
        with pytest.raises(AttnevalError, match=message):
            Choices.checked(**fields)


def test_an_encoder_beside_the_decoder_is_no_causal_model() -> None:
    model, processor = llava()
    model = copy.deepcopy(model)
    model.config.text_config.is_encoder_decoder = True
    with pytest.raises(AttnevalError, match=r"lacks one sequence \(no encoder beside the decoder\)"):
        choose_adapter(model, processor, Choices())


def test_every_family_lists_what_it_needs() -> None:
    bare = torch.nn.Linear(2, 2)
    with pytest.raises(AttnevalError) as caught:
        choose_adapter(bare, object(), Choices())
    message = str(caught.value)
    assert all(family.family in message for family in FAMILIES)
    assert "class MyVLM(hf.Causal):" in message
    for made in (llava(), others.clip(), others.blip(), others.vilt(), others.grounding_dino(), others.owl()):
        serving, reason = choose_adapter(*made, Choices())
        assert reason.startswith("it has ")
        assert sum(all(trait.present for trait in family.traits(*made)) for family in FAMILIES) == 1, type(serving)
