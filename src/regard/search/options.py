"""What a search may be asked for, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from regard.config import MAX_SEED, Settings
from regard.errors import ConfigError
from regard.text import Tokenizer
from regard.text.vocabulary import BOS, EOS, UNK

_SAMPLING = ("temperature", "top_k", "top_p", "seed")
_BEAM = ("beam", "alternatives", "groups", "diversity")


class SearchOptions(Settings):
    """Options of :func:`regard.search.search`: a beam, or random samples where ``samples`` is set.

    Lengths count words; the end is not a word. Every option does something: one that belongs to the other kind of
    search is refused.

    Raises:
        ConfigError: options that contradict each other.
    """

    beam: int = Field(5, ge=1, le=256)
    """Hypotheses kept for each input; 1 is greedy search."""
    max_length: int = Field(22, ge=1, le=4000)
    """The most steps, each for one word or for the end. What has not ended by then stays unfinished."""
    min_length: int = Field(0, ge=0, le=4000)
    """The end is forbidden before this many words."""
    length_normalisation: float = Field(0.7, ge=0, le=10)
    """α in score = log p / length^α, where length counts the words and the end; 0 ranks by probability alone."""
    no_repeat: int | None = Field(None, ge=1, le=4000)
    """No sequence of this many tokens occurs twice in one hypothesis."""
    no_end_after: list[str] = Field(default_factory=list, max_length=1000)
    """No sentence ends with one of these words, such as articles and prepositions, which self-critical training is
    fond of ending with ("a man in a"). Of a subword vocabulary, those words that are one piece."""
    alternatives: int = Field(1, ge=1, le=256)
    """How many hypotheses of the beam are returned for each input, best first."""
    groups: int = Field(1, ge=1, le=256)
    """Diverse beam search: the beam is split into so many groups that avoid each other's words. Two groups may still
    find the same sentence."""
    diversity: float = Field(0.5, ge=0, le=1000)
    """λ of diverse beam search: what a word costs for each time an earlier group chose it at the same step."""
    samples: int | None = Field(None, ge=1, le=1000)
    """Random sampling instead of a beam: so many independent samples for each input."""
    temperature: float = Field(1.0, ge=0.001, le=1000)
    """Sampling: logits are divided by it; below 1 is more careful, above 1 is bolder."""
    top_k: int | None = Field(None, ge=1, le=1_000_000)
    """Sampling: only the k most probable words are possible."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Sampling: only the fewest most probable words that together reach this probability are possible."""
    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Sampling: samples are a function of the seed and of the input's number."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.min_length > self.max_length:
            raise ConfigError(
                f"min_length {self.min_length} is more than max_length {self.max_length}",
                remedy="lower min_length or raise max_length",
            )
        misplaced = _BEAM if self.samples is not None else _SAMPLING
        for name in misplaced:
            if getattr(self, name) != type(self).model_fields[name].default:
                other = "without samples" if self.samples is not None else "with samples"
                raise ConfigError(f"{name} has no effect here", allowed=f"{name} {other}")
        return self if self.samples is not None else self._beam_agrees()

    def _beam_agrees(self) -> Self:
        if self.alternatives > self.beam:
            raise ConfigError(
                f"{self.alternatives} alternatives from a beam of {self.beam}",
                allowed=f"1 to {self.beam} alternatives",
                remedy="raise beam",
            )
        if self.beam % self.groups:
            raise ConfigError(
                f"a beam of {self.beam} cannot be split into {self.groups} equal groups",
                remedy="choose a beam that is a multiple of groups",
            )
        return self


@dataclass(frozen=True)
class SpecialTokens:
    """The ids that search treats apart.

    Attributes:
        bos, eos: begin and end of a sentence.
        forbidden: ids that are never generated, such as ``<pad>``, ``<bos>`` and ``<unk>``.
        never_last: ids after which there is no end.
    """

    bos: int = 1
    eos: int = 2
    forbidden: tuple[int, ...] = (0, 1, 3)
    never_last: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        assert self.eos not in self.forbidden, "a sentence must be able to end"

    @classmethod
    def of(cls, tokenizer: Tokenizer, options: SearchOptions) -> SpecialTokens:
        """Those of a tokenizer, in a search with these options."""
        pieces = [tokenizer.encode(word).ids for word in options.no_end_after]
        never_last = tuple(each[0] for each in pieces if len(each) == 1 and each[0] != UNK)
        return cls(bos=BOS, eos=EOS, forbidden=tokenizer.forbidden, never_last=never_last)
