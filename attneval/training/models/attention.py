"""The attention core that SCAN, BFAN, PFAN and SGRAF share.

Everything here works on cosine scores of words and regions in one layout, [.., words, regions], for both
directions: a direction only says which of the two axes holds the queries. The leading axes are either [B] for
matched pairs (image b with caption b) or [M, N] for every image with every caption.

Padding never changes a number: padded words and regions have zero vectors, take no part in any normalisation,
softmax or pooling, and have zero attention.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from attneval.errors import ConfigError
from attneval.training.models.normalisation import EPS, l2norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.training.choices import Pooling, RawNorm


class Direction(NamedTuple):
    """Query axis and context axis of [.., words, regions]."""

    name: str
    query: int
    context: int


T2I = Direction("t2i", query=-2, context=-1)
I2T = Direction("i2t", query=-1, context=-2)


@dataclass(frozen=True)
class Fragments:
    """Encoded regions of images or words of captions.

    Args:
        vectors: [N, L, D] region or word vectors; zero where `mask` is false (`Fragments.masked` sees to it).
        mask: [N, L], true where a fragment is real.
        whole: [N, D] one vector for the whole image or caption, for models that have one (SGRAF).
    """

    vectors: Tensor
    mask: Tensor
    whole: Tensor | None = None

    @classmethod
    def masked(cls, vectors: Tensor, mask: Tensor) -> Fragments:
        """Fragments [B, n, D] with padding, b[B, n] false, set to zero, in single precision whatever encoded them."""
        vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
        return cls(vectors.masked_fill(~mask[..., None], 0), mask)

    def with_whole(self, whole: Tensor) -> Fragments:
        """The same fragments with vectors [B, D] of the wholes."""
        return replace(self, whole=whole.to(self.vectors.dtype))

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: slice | Tensor) -> Fragments:
        whole = None if self.whole is None else self.whole[index]
        return Fragments(self.vectors[index], self.mask[index], whole)

    def trimmed(self) -> Fragments:
        """Without the positions that are padding everywhere."""
        longest = int(self.mask.sum(1).max())
        return Fragments(self.vectors[:, :longest], self.mask[:, :longest], self.whole)

    @cached_property
    def gram(self) -> Tensor:
        """[N, L, L] inner products of the fragments of one image or caption."""
        return torch.bmm(self.vectors, self.vectors.transpose(1, 2))

    @cached_property
    def norms(self) -> Tensor:
        """[N, L] lengths of the vectors: 1 unless the model does not normalise."""
        norms: Tensor = torch.linalg.vector_norm(self.vectors, dim=-1)
        return norms

    @cached_property
    def ragged(self) -> bool:
        """True where anything is padding."""
        return not bool(self.mask.all())


class Pairs:
    """Images against captions, with their scores.

    Args:
        regions: M encoded images.
        words: N encoded captions.
        matched: Image b goes with caption b (leading axes [B]) instead of each with each ([M, N]).
    """

    def __init__(self, regions: Fragments, words: Fragments, *, matched: bool = False) -> None:
        if matched and len(regions) != len(words):
            raise ConfigError(f"{len(regions)} images cannot be matched with {len(words)} captions one to one")
        self.regions = regions
        self.words = words
        self.matched = matched

    @cached_property
    def scores(self) -> Tensor:
        """[.., words, regions] inner products, the cosine for unit vectors."""
        return self.einsum("mrd,ntd->mntr", self.regions.vectors, self.words.vectors).contiguous()

    @property
    def region_mask(self) -> Tensor:
        """[.., 1, regions], broadcastable against the scores."""
        return self.by_image(self.regions.mask)[..., None, :]

    @property
    def word_mask(self) -> Tensor:
        """[.., words, 1], broadcastable against the scores."""
        return self.by_caption(self.words.mask)[..., :, None]

    def by_image(self, values: Tensor) -> Tensor:
        """A tensor [M, ...] of the images, broadcastable against [M, N, ...] or [B, ...]."""
        return values if self.matched else values[:, None]

    def by_caption(self, values: Tensor) -> Tensor:
        """A tensor [N, ...] of the captions, broadcastable against [M, N, ...] or [B, ...]."""
        return values if self.matched else values[None]

    def einsum(self, spec: str, *operands: Tensor) -> Tensor:
        """`torch.einsum` with m for images and n for captions, which are one axis in matched pairs."""
        if self.matched:
            spec = spec.replace("mn", "b").replace("m", "b").replace("n", "b")
        return torch.einsum(spec, *operands)

    def query_mask(self, direction: Direction) -> Tensor:
        """The mask of the asking axis, broadcastable against the scores without their context axis."""
        return (self.word_mask if direction is T2I else self.region_mask).squeeze(direction.context)

    def attended(self, weights: Tensor) -> Tensor:
        """[.., words, D] what the words attend to: sums of region vectors under weights [.., words, regions]."""
        return self.einsum("mntr,mrd->mntd", weights, self.regions.vectors)

    def cosines(self, weights: Tensor, direction: Direction) -> Tensor:
        """[.., queries] cosine of each query with the information it attends to, without building that vector.

        With scores c_j = q . k_j and the Gram matrix G of the keys, q . a = sum_j w_j c_j and |a|^2 = w G w.

        Args:
            weights: [.., words, regions] attention weights.
            direction: Who asks.
        """
        dot = (weights * self.scores).sum(direction.context)
        if direction is T2I:
            spread = self.einsum("mntr,mrs->mnts", weights, self.regions.gram)
            norms = self.by_caption(self.words.norms)
        else:
            spread = self.einsum("mntr,nts->mnsr", weights, self.words.gram)
            norms = self.by_image(self.regions.norms)
        # The clamp keeps the gradient of the root finite where nothing is attended to.
        length = (spread * weights).sum(direction.context).clamp_min(EPS**2).sqrt()
        return dot / (norms * length).clamp_min(EPS)


@dataclass(frozen=True)
class AttentionMaps:
    """The attention of pairs, always words x regions; the leading axes are [B] or [M, N] as in `Pairs`.

    Args:
        t2i: [.., words, regions] word-to-region weights, summing to 1 over the regions of each real word.
        i2t: [.., words, regions] region-to-word weights, summing to 1 over the words of each real region.
    """

    t2i: Tensor | None = None
    i2t: Tensor | None = None


class Contrast(NamedTuple):
    """One direction of matched pairs in the form that the constraints take: B items, Q queries, K keys."""

    queries: Tensor
    keys: Tensor
    weights: Tensor
    query_mask: Tensor
    key_mask: Tensor


def contrasts(pairs: Pairs, maps: AttentionMaps, word_queries: Tensor) -> dict[str, Contrast]:
    """Input of the constraints CCR and CCS for each direction that the model has.

    Args:
        pairs: Matched pairs.
        maps: Their attention.
        word_queries: [B, T], true for words that take part as queries. As keys all words count, since the
            weights of a region sum to 1 over all of them.
    """
    words, regions = pairs.words, pairs.regions
    by_direction = {}
    if maps.t2i is not None:
        by_direction[T2I.name] = Contrast(
            words.vectors, regions.vectors, maps.t2i, words.mask & word_queries, regions.mask
        )
    if maps.i2t is not None:
        by_direction[I2T.name] = Contrast(
            regions.vectors, words.vectors, maps.i2t.transpose(1, 2), regions.mask, words.mask
        )
    return by_direction


def attention_weights(
    pairs: Pairs, direction: Direction, *, raw_norm: RawNorm = "clipped_l2norm", temperature: float = 9.0
) -> Tensor:
    """SCAN's stacked cross attention (Lee et al., ECCV 2018, eq. 1-2 and 9-10).

    Args:
        pairs: What is compared.
        direction: Who asks.
        raw_norm: How raw scores are normalised over the queries before the softmax over the context.
        temperature: Inverse temperature of that softmax.

    Returns:
        [.., words, regions] weights that sum to 1 over the context of each real query; 0 at padding.
    """
    query_mask, context_mask = pairs.word_mask, pairs.region_mask
    query_ragged, context_ragged = pairs.words.ragged, pairs.regions.ragged
    if direction is I2T:
        query_mask, context_mask = context_mask, query_mask
        query_ragged, context_ragged = context_ragged, query_ragged
    scores = _RAW_NORMS[raw_norm](pairs.scores, direction.query, query_mask, temperature)
    if context_ragged:
        scores = scores.masked_fill(~context_mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(direction.context)
    # Masks stay as small as they are: one of the scores' shape would cost a step of SCAN on a CPU another 3 %.
    if query_ragged:
        weights = weights * query_mask.to(weights.dtype)
    if context_ragged:
        weights = weights * context_mask.to(weights.dtype)
    return weights


def pool(values: Tensor, mask: Tensor, pooling: Pooling, temperature: float) -> Tensor:
    """One number from the last axis, over real entries only.

    Args:
        values: [.., L].
        mask: Broadcastable to `values`, true where an entry is real.
        pooling: LogSumExp is (1 / temperature) log sum exp(temperature * value): a sum, not a mean.
        temperature: Inverse temperature of LogSumExp.
    """
    lowest = torch.finfo(values.dtype).min
    if pooling == "LogSumExp":
        return (values * temperature).masked_fill(~mask, lowest).logsumexp(-1) / temperature
    if pooling == "Max":
        return values.masked_fill(~mask, lowest).amax(-1)
    total = values.masked_fill(~mask, 0).sum(-1)
    if pooling == "Sum":
        return total
    return total / mask.sum(-1).clamp_min(1)


def _l1norm(scores: Tensor, axis: int, scale: float) -> Tensor:
    return scores * (scale / (scores.abs().sum(axis, keepdim=True) + EPS))


def _softmax(scores: Tensor, axis: int, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(axis)


def _clip(scores: Tensor) -> Tensor:
    return functional.leaky_relu(scores, 0.1)


# Scores of padded queries are 0, so only the softmax needs their mask. The temperature is multiplied into the small
# divisor where there is one, not into the scores.
_RAW_NORMS: dict[RawNorm, Callable[[Tensor, int, Tensor, float], Tensor]] = {
    "clipped_l2norm": lambda scores, axis, _, temperature: l2norm(_clip(scores), axis, temperature),
    "l2norm": lambda scores, axis, _, temperature: l2norm(scores, axis, temperature),
    "softmax": lambda scores, axis, mask, temperature: _softmax(scores, axis, mask) * temperature,
    "l1norm": lambda scores, axis, _, temperature: _l1norm(scores, axis, temperature),
    "clipped_l1norm": lambda scores, axis, _, temperature: _l1norm(_clip(scores), axis, temperature),
    "clipped": lambda scores, _, __, temperature: _clip(scores) * temperature,
    "no_norm": lambda scores, _, __, temperature: scores * temperature,
}
