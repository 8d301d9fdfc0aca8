"""The tasks an app can have, as typed under [tasks.NAME] of edgepack.toml.

Paths start from the folder of edgepack.toml; models and tensors go by their names. What a model takes
in front of and behind the task's own steps is the contract's: `edgepack.contract.settings`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgepack.contract.settings import Carried, Generation, LogMel, Natural, Positive, Speech

Text = Annotated[str, Meta(min_length=1)]

TaskName = Literal["generic", "image-classification", "voice", "translation"]


class Decoder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that is called once for every token.

    token: input of the last token. position: input of its place, "" if the model has none.
    logits: output of the next token's. carried: outputs that become inputs of the next call, such as a
    cache of keys and values. Whatever else it takes, an output of the encoder of that name gives.
    """

    model: Text
    token: Text = "token"  # noqa: S105
    position: str = "position"
    logits: Text = "logits"
    carried: tuple[Carried, ...] = ()


class Detector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that says for every frame of sound how likely it is speech.

    output: its probability; the first output if none is named. carried: its state.
    """

    model: Text
    output: str = ""
    carried: tuple[Carried, ...] = ()


class ImageClassification(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="image-classification",
    tag_field="task",
):
    """[tasks.image-classification]: a photo, and the likeliest of named classes.

    labels: file with the names, one a line. model: needed where there are several.
    output: the first if none is named. activation: what makes probabilities of it. top: how many are shown.
    """

    labels: Text
    model: str = ""
    output: str = ""
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    top: Positive = 5


class Voice(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="voice", tag_field="task"
):
    """[tasks.voice]: speech to text. A detector finds speech, an encoder hears it, a decoder writes.

    encoder: name of the model that takes the spectrogram. vocabulary: the decoder's byte-level tokens:
    tokenizer.json, vocab.json, or a file with one token a line.
    """

    detector: Detector
    encoder: Text
    decoder: Decoder
    vocabulary: Text
    generation: Generation
    features: LogMel = LogMel()
    speech: Speech = Speech()


class Translation(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="translation",
    tag_field="task",
):
    """[tasks.translation]: text to text. The encoder takes the tokens of a text, the decoder writes another.

    encoder: name of the model; tokens, mask: its inputs, mask "" if it has none. tokenizer: a SentencePiece
    .model of the unigram kind. languages: what people can choose, and the token that stands for it in
    front of the text; none for a model of one direction. end: tokens behind the text.
    """

    encoder: Text
    decoder: Decoder
    tokenizer: Text
    generation: Generation
    tokens: Text = "tokens"
    mask: str = "mask"
    filler: Natural = 0
    languages: dict[Text, Natural] = {}
    end: tuple[Natural, ...] = ()


class Tasks(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="kebab",
    omit_defaults=True,
):
    """[tasks]: what apps do with the models, the same on every platform."""

    image_classification: ImageClassification | None = None
    voice: Voice | None = None
    translation: Translation | None = None

    def named(self, name: TaskName) -> ImageClassification | Voice | Translation | None:
        """The settings of a task, None if there are none."""
        found: ImageClassification | Voice | Translation | None = getattr(
            self, name.replace("-", "_"), None
        )
        return found
