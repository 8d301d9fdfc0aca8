"""The contract's settings: what an app's manifest holds, and edgepack.toml where people write them.

Data alone; each is followed by the module named in its docstring's place: images, sound, text, decoding
and classes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


class ImageInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a picture becomes an input of width times height pixels.

    resize: length of the shorter side in pixels before the centre crop; 0 stretches to the size.
    layout: whether the axis of the channels is the first or the last. Float dtypes hold
    (pixel * scale - mean) / std, computed in float64; the others the pixels, 0 to 255.
    mean, std: one value or one per channel, in the order of `color`.
    """

    width: Positive
    height: Positive
    channels: Literal[1, 3, 4] = 3
    layout: Literal["channels-first", "channels-last"] = "channels-first"
    dtype: Literal["float32", "float16", "float64", "uint8", "int16", "int32", "int64"] = "float32"
    resize: Annotated[int, Meta(ge=0)] = 0
    interpolation: Interpolation = "bilinear"
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class Frames(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a recording becomes windows of `size` samples, one every `hop`.

    before: zeros in front of the first sample, as a streaming model's context has them at the start.
    tail: what becomes of samples that fill no whole window: dropped, or filled up with zeros.
    """

    sample_rate: Positive = 16000
    size: Positive
    hop: Positive
    before: Natural = 0
    tail: Literal["drop", "pad"] = "pad"


class LogMel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a recording becomes a spectrogram in mel bands. The defaults are Whisper's.

    length: samples that zeros fill up to or that are kept; 0 takes the recording as long as it is.
    window: samples of each frame, under a periodic Hann window; any number, one frame every `hop`.
    center: what lies half a window beyond both ends: the sound mirrored, zeros, or no frame at all.
    drop_last: leave out the last frame. power: of the magnitude.
    bands: triangles from low_hz to high_hz on Slaney's or HTK's scale; norm "area" gives them equal
    area, "peak" the height 1. 0 bands keep the plain spectrum.
    log: applied to no less than `floor`. range: how far below the loudest the quietest may be, in
    the logarithm's unit; 0 for any. The result is (value + offset) * scale.
    layout: which axis comes first.
    """

    sample_rate: Positive = 16000
    length: Natural = 480000
    window: Annotated[int, Meta(ge=2)] = 400
    hop: Positive = 160
    center: Literal["reflect", "zeros", "none"] = "reflect"
    drop_last: bool = True
    power: Literal[1, 2] = 2
    bands: Natural = 80
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["area", "peak"] = "area"
    low_hz: Annotated[float, Meta(ge=0)] = 0.0
    high_hz: Annotated[float, Meta(gt=0)] = 8000.0
    log: Literal["log10", "ln", "none"] = "log10"
    floor: Annotated[float, Meta(gt=0)] = 1e-10
    range: Annotated[float, Meta(ge=0)] = 8.0
    offset: float = 4.0
    scale: float = 0.25
    layout: Literal["bands-first", "frames-first"] = "bands-first"


class Unigram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unigram"):
    """SentencePiece's unigram model. pieces, rules: names of files beside the manifest.

    rules: what is replaced before anything else; "" for nothing. byte_fallback: bytes take the place
    of unknown characters. before, after: ids around those of the text.
    """

    pieces: str
    rules: str = ""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    byte_fallback: bool = False
    unknown_surface: str = " ⁇ "
    before: tuple[Natural, ...] = ()
    after: tuple[Natural, ...] = ()


class WordPiece(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="wordpiece"):
    """BERT's word pieces. characters: file that says how each character is read, lower case or not.

    longest_word: in characters; a longer one is unknown. before, after: ids around those of the text.
    """

    pieces: str
    characters: str
    unknown: str = "[UNK]"
    continuing: str = "##"
    longest_word: Annotated[int, Meta(ge=1)] = 100
    before: tuple[Natural, ...] = ()
    after: tuple[Natural, ...] = ()


class ByteLevel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="byte-level"):
    """GPT-2's pieces of bytes, each byte written as a printable character. For decoding alone."""

    pieces: str


class Generation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a decoder's tokens are chosen, one after the other.

    start: tokens that are given. end: token that ends a text. longest: most tokens with those of the
    start. suppressed: tokens that are never chosen; suppressed_first: nor as the first one.
    beams: hypotheses followed at once; 1 takes the likeliest token each time. length_penalty: a
    hypothesis of n tokens is compared by its log probability over ((5 + n) / 6) ** length_penalty.
    Source: Wu et al., arXiv:1609.08144, section 7.
    """

    start: Annotated[tuple[Natural, ...], Meta(min_length=1)]
    end: Natural
    longest: Positive
    suppressed: tuple[Natural, ...] = ()
    suppressed_first: tuple[Natural, ...] = ()
    beams: Positive = 1
    length_penalty: float = 0.6


class Carried(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output that a streaming model gets back as an input in the next call; zeros at first."""

    input: str
    output: str


class Speech(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a probability of speech per frame becomes stretches of speech.

    frame: samples a probability stands for. Speech begins at `threshold` and goes on until it stays
    below `release` for min_silence_ms; what does not last longer than min_speech_ms is dropped.
    pad_ms is added to both sides, or half the silence between two. longest_ms: a stretch is cut in
    the last silence before it gets longer, or right there; 0 for never.
    """

    sample_rate: Positive = 16000
    frame: Positive = 512
    threshold: float = 0.5
    release: float = 0.35
    min_speech_ms: Natural = 250
    min_silence_ms: Natural = 100
    pad_ms: Natural = 30
    longest_ms: Natural = 0


class Classes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an output becomes named classes. labels: name of the file beside the manifest.

    activation: what makes probabilities of the output. top: how many are shown.
    """

    labels: str
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    top: Annotated[int, Meta(ge=1)] = 5
