"""Tiny models of transformers with real processors, and tokenizers of every kind, made on the spot."""

# ruff: noqa: S106 - tokens are no passwords

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("PIL")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image

CAPTIONS = (
    "A man in sun-glasses rides a red bicycle down the street .",
    "Two dogs , one black , play in a café's garden .",
    "The woman 's hat is blue .",
    "A boy jumps",
)
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>", "<image>", "<row>", "<end_of_utterance>", "<fake>", "<global-img>")
CHAT = (
    "{% for m in messages %}{{ m['role'] | upper }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '</s>' if not loop.last else '' }}{% endfor %}"
)
"""A chat template as small as they come."""


LENGTH, PADDING = 20, 4
"""Tokens of a made-up sequence, and how many of the second one of a batch are padding."""


def picture(width: int = 90, height: int = 60, seed: int = 0) -> Image:
    """A made-up image: smooth, so that resizing keeps it."""
    from PIL import Image as Pictures

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)
    return Pictures.fromarray(coarse).resize((width, height), Pictures.Resampling.BICUBIC)


def _train(tokenizer: Any, trainer: Any) -> Any:
    tokenizer.train_from_iterator(list(CAPTIONS) * 3 + ["USER : ASSISTANT Describe the image ."], trainer)
    return tokenizer


@functools.cache
def raw_tokenizer(kind: str) -> str:
    """The JSON of a tokenizer: byte_level, clip, wordpiece, unigram or sentencepiece."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    specials = list(SPECIALS)
    if kind == "byte_level":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.post_processor = processors.ByteLevel(trim_offsets=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(vocab_size=400, special_tokens=specials, initial_alphabet=alphabet)
    elif kind == "clip":
        made = Tokenizer(models.BPE(unk_token="</s>", end_of_word_suffix="</w>"))
        made.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"[a-zA-Z]+|[0-9]|[^\s\w]+|\w"), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        made.decoder = decoders.BPEDecoder(suffix="</w>")
        trainer = trainers.BpeTrainer(
            vocab_size=120, special_tokens=specials, end_of_word_suffix="</w>", limit_alphabet=40
        )
    elif kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="<unk>"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=specials)
    elif kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=specials, unk_token="<unk>")
    else:
        made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=specials, max_token_length=6)
    text: str = _train(made, trainer).to_str()
    return text


def tokenizer(kind: str = "byte_level", *, begin: bool = False, end: bool = False, **given: Any) -> Any:
    """A tokenizer of transformers; `begin` and `end` put special tokens around every text."""
    from tokenizers import Tokenizer, processors

    raw = Tokenizer.from_str(raw_tokenizer(kind))
    if begin or end:
        parts = [*(["<s>"] if begin else []), "$A", *(["</s>"] if end else [])]
        pair = [*parts, *("$B:1" if part == "$A" else f"{part}:1" for part in parts[bool(begin) :])]
        template = processors.TemplateProcessing(single=parts, pair=pair, special_tokens=[("<s>", 1), ("</s>", 2)])
        raw.post_processor = processors.Sequence([raw.post_processor, template]) if kind == "byte_level" else template
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        **{
            "pad_token": "<pad>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "</s>" if kind == "clip" else "<unk>",
            "padding_side": "left",
            "extra_special_tokens": {"image_token": "<image>"},
            **given,
        },
    )


TEXT = {
    "vocab_size": 420,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""A text configuration of four heads, two key heads and two layers."""


def text_config(name: str = "Llama", **given: Any) -> Any:
    """A text configuration, with values of its own."""
    return getattr(transformers, f"{name}Config")(**{**TEXT, **given})


def vision_config(name: str = "CLIPVision", **given: Any) -> Any:
    """A vision configuration of two heads and two layers."""
    values = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
    }
    return getattr(transformers, f"{name}Config")(**{**values, **given})


@functools.cache
def llava() -> tuple[Any, Any]:
    """LLaVA-1.5: CLIP's shortest edge and centre crop, 4 x 4 cells."""
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
        tokenizer("sentencepiece", begin=True),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=CHAT,
    )
    config = transformers.LlavaConfig(
        vision_config=vision_config(), text_config=text_config(), image_token_id=4, vision_feature_layer=-1
    )
    return seeded(transformers.LlavaForConditionalGeneration, config), processor


def seeded(cls: Any, config: Any, scale: float = 6.0, *, spread: float = 0.0) -> Any:
    """A model of random weights; those of queries and keys are large, so that attention is uneven.

    With a `spread` all matrices are drawn anew with it: some classes leave theirs to chance.
    """
    torch.manual_seed(7)
    model = cls(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters() if spread else ():
            parameter.normal_(1 if parameter.ndim == 1 and name.endswith("weight") else 0, spread)
        for name, parameter in model.named_parameters():
            if (
                parameter.ndim > 1
                and re.search(r"\b(q|k|q_proj|k_proj|qkv|query|key)\b", name)
                and "vision" not in name
            ):
                parameter.mul_(scale)
            elif parameter.ndim and not bool(parameter.any()):
                parameter.normal_(0, 0.05)
    return model


def language(name: str, **given: Any) -> Any:
    """A text decoder of random weights; what is None is not given to its configuration."""
    cls = getattr(transformers, name if name.endswith("Model") else f"{name}ForCausalLM")
    values = {key: value for key, value in {**TEXT, **given}.items() if value is not None}
    return seeded(cls, cls.config_class(**values))


def batch() -> dict[str, Any]:
    """Two sequences of tokens, the second padded on the left by `PADDING`."""
    torch.manual_seed(1)
    ids = torch.randint(3, 400, (2, LENGTH))
    mask = torch.ones(2, LENGTH, dtype=torch.long)
    ids[1, :PADDING], mask[1, :PADDING] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


def eager(model: Any, inputs: dict[str, Any]) -> list[Any]:
    """Whole matrices of the softmax layers, as the class itself computes them."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        found = model(**inputs, output_attentions=True).attentions
    model.set_attn_implementation(before)
    return [weights for weights in found if weights is not None]


def some_captions(count: int = 2) -> Sequence[str]:
    """Captions of unequal lengths."""
    return CAPTIONS[:count]


def matrices(outputs: Any) -> Iterator[Any]:
    """The whole attention matrices of an eager forward pass, as [B, H, S, S]."""
    yield from (weights for weights in outputs.attentions if weights is not None)
