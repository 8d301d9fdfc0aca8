"""Samples as the frames and log-mel spectrograms that a model takes.

Sound is float32 [samples] from -1 to 1. All sums are made in float64 and rounded to float32 once, at
the end, so that languages with other mathematical libraries differ in the last bit at most.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgepack.contract.settings import Frames, LogMel
from edgepack.errors import EdgepackError

Array = np.ndarray[Any, np.dtype[Any]]

ZERO_CROSSINGS = 64
ROLLOFF = 0.94
KAISER_BETA = 12.0
"""The filter of `resample`: flat to 0.88 of the lower Nyquist frequency, -110 dB from it on."""

MOST_PHASES = 2000
"""A ratio of rates in lowest terms may ask for so many filters; 44100 to 16000 asks for 160."""

SLANEY_BEND_HZ, SLANEY_BEND_MEL, SLANEY_HZ_PER_MEL = 1000.0, 15.0, 200.0 / 3.0
SLANEY_STEP = math.log(6.4) / 27.0
"""Slaney's scale is linear below the bend, and grows by 6.4 every 27 mel above it."""


# --- samples -------------------------------------------------------------------------------------


def from_pcm16(samples: Array) -> Array:
    """float32 from -1 to 1 of 16-bit samples: divided by 32768, exactly."""
    wave: Array = np.divide(samples, 32768, dtype=np.float32)
    return wave


def to_pcm16(samples: Array) -> Array:
    """int16 of samples from -1 to 1: times 32768, halves to even, clipped."""
    whole: Array = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767)
    return whole.astype(np.int16)


def mono(samples: Array) -> Array:
    """float32 [samples], the mean of [samples, channels]."""
    mean: Array = samples.astype(np.float64).mean(axis=1)
    return mean.astype(np.float32)


def resample(samples: Array, rate: int, wanted: int) -> Array:
    """float32 [ceil(samples * wanted / rate)]: the sound as if recorded at another rate.

    Sample k is the sound at input place k * rate / wanted through a sinc in a Kaiser window, as wide
    as ZERO_CROSSINGS of it to both sides, with its corner at ROLLOFF of the lower Nyquist frequency.
    Each phase's weights add up to 1; beyond both ends lies silence.
    Raises E622 for rates below 1 or whose ratio asks for more than MOST_PHASES.
    Source: Smith, Digital Audio Resampling, ccrma.stanford.edu/~jos/resample.
    """
    if rate < 1 or wanted < 1 or wanted // math.gcd(rate, wanted) > MOST_PHASES:
        raise EdgepackError(
            "E622",
            f"sound cannot be resampled from {rate} to {wanted} Hz",
            why=f"Rates are positive, and their ratio in lowest terms asks for {MOST_PHASES} at most.",
            help="Record at a common rate: 16000, 44100 or 48000 Hz.",
        )
    if rate == wanted:
        return samples.astype(np.float32)
    shared = math.gcd(rate, wanted)
    up, down = wanted // shared, rate // shared
    count = -(-len(samples) * up // down)
    reach = filter_reach(up, down)
    padded = np.pad(samples.astype(np.float64), (reach, reach + down + 1))
    out = np.zeros(count, np.float64)
    for phase in range(min(up, count)):
        first, taps = filter_phase(phase * down % up, up, down)
        start = phase * down // up + first + reach
        places = len(range(phase, count, up))
        windows = np.lib.stride_tricks.sliding_window_view(padded[start:], len(taps))[::down]
        out[phase::up] = windows[:places] @ np.array(taps)
    return out.astype(np.float32)


def filter_reach(up: int, down: int) -> int:
    """How many input samples before and after a place count in it."""
    return math.ceil(ZERO_CROSSINGS / (ROLLOFF * min(1.0, up / down)))


def filter_phase(numerator: int, up: int, down: int) -> tuple[int, list[float]]:
    """Weights around a place numerator / up behind an input sample, and where they start from it."""
    corner = ROLLOFF * min(1.0, up / down)
    width = ZERO_CROSSINGS / corner
    reach = filter_reach(up, down)
    taps = []
    for place in range(1 - reach, reach + 1):
        distance = place - numerator / up
        inside = 1.0 - (distance / width) ** 2
        angle = math.pi * corner * distance
        sinc = math.sin(angle) / angle if angle != 0.0 else 1.0
        taps.append(sinc * bessel_i0(KAISER_BETA * math.sqrt(inside)) if inside > 0.0 else 0.0)
    total = math.fsum(taps)
    return 1 - reach, [tap / total for tap in taps]


def bessel_i0(x: float) -> float:
    """The modified Bessel function of the first kind and order 0, by its series.

    Source: Abramowitz and Stegun 9.6.12.
    """
    total, term, step = 1.0, 1.0, 1
    while term > total * 1e-17:
        term *= (x / (2 * step)) ** 2
        total += term
        step += 1
    return total


# --- frames --------------------------------------------------------------------------------------


def frames(samples: Array, settings: Frames) -> Array:
    """float32 [windows, size]; window k starts at sample k * hop - before. Padded, at least one."""
    whole = np.concatenate([np.zeros(settings.before, np.float32), samples.astype(np.float32)])
    beyond = len(whole) - settings.size
    if settings.tail == "drop":
        count = beyond // settings.hop + 1 if beyond >= 0 else 0
    else:
        count = max(0, -(-beyond // settings.hop)) + 1
        whole = np.pad(whole, (0, max(0, (count - 1) * settings.hop - beyond)))
    if not count:
        return np.zeros((0, settings.size), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(whole, settings.size)
    return view[:: settings.hop][:count].copy()


def log_mel(samples: Array, settings: LogMel) -> Array:
    """float32 [bands, frames], or frames first. Without bands: window // 2 + 1 frequencies.

    Raises E623 when there is no sound or no frame of it.
    """
    if settings.length:
        kept = samples[: settings.length].astype(np.float64)
        whole = np.pad(kept, (0, settings.length - len(kept)))
    else:
        whole = samples.astype(np.float64)
    power = spectrogram(whole, settings)
    if settings.bands:
        power = mel_bands(settings) @ power
    level = _logarithm(power, settings)
    out: Array = ((level + settings.offset) * settings.scale).astype(np.float32)
    return out if settings.layout == "bands-first" else np.ascontiguousarray(out.T)


def spectrogram(samples: Array, settings: LogMel) -> Array:
    """float64 [window // 2 + 1, frames]: magnitudes to the settings' power. Raises E623."""
    if settings.center != "none":
        half = settings.window // 2
        samples = (
            np.pad(samples, half)
            if settings.center == "zeros"
            else samples[mirrored(len(samples), half)]
        )
    count = (len(samples) - settings.window) // settings.hop + 1 - settings.drop_last
    if count < 1:
        raise EdgepackError(
            "E623",
            f"a recording of {len(samples)} samples gives no frame of {settings.window}",
            help="Record longer, or fill up with silence.",
        )
    turns = np.arange(settings.window) / settings.window
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    windows = np.lib.stride_tricks.sliding_window_view(samples, settings.window)
    spectrum = np.fft.rfft(windows[:: settings.hop][:count] * hann, axis=1).T
    power = spectrum.real**2 + spectrum.imag**2
    return power if settings.power == 2 else np.sqrt(power)  # noqa: PLR2004


def mirrored(count: int, beyond: int) -> Array:
    """Places from -beyond to count + beyond - 1, those outside mirrored at the first and last sample.

    Raises E623 for no samples at all.
    """
    if not count:
        raise EdgepackError("E623", "the recording holds no sound", help="Record longer.")
    period = max(1, 2 * (count - 1))
    folded = np.arange(-beyond, count + beyond) % period
    return np.minimum(folded, period - folded) if count > 1 else np.zeros_like(folded)


def mel_bands(settings: LogMel) -> Array:
    """float64 [bands, window // 2 + 1]: what each frequency gives to each band.

    Source: Slaney, Auditory Toolbox, 1998; The HTK Book, section 5.4.
    """
    to_mel, to_hertz = (
        (slaney_mel, slaney_hertz) if settings.mel_scale == "slaney" else (htk_mel, htk_hertz)
    )
    low, high = to_mel(settings.low_hz), to_mel(settings.high_hz)
    step = (high - low) / (settings.bands + 1)
    edges = np.array([to_hertz(low + step * i) for i in range(settings.bands + 2)])
    hertz = np.arange(settings.window // 2 + 1) * (settings.sample_rate / settings.window)
    first, middle, last = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (hertz - first) / (middle - first)
    falling = (last - hertz) / (last - middle)
    bands: Array = np.maximum(0.0, np.minimum(rising, falling))
    return bands * (2.0 / (last - first)) if settings.mel_norm == "area" else bands


def slaney_mel(hertz: float) -> float:
    """Slaney's mel of a frequency."""
    if hertz < SLANEY_BEND_HZ:
        return hertz / SLANEY_HZ_PER_MEL
    return SLANEY_BEND_MEL + math.log(hertz / SLANEY_BEND_HZ) / SLANEY_STEP


def slaney_hertz(mel: float) -> float:
    """The frequency of Slaney's mel."""
    if mel < SLANEY_BEND_MEL:
        return mel * SLANEY_HZ_PER_MEL
    return SLANEY_BEND_HZ * math.exp((mel - SLANEY_BEND_MEL) * SLANEY_STEP)


def htk_mel(hertz: float) -> float:
    """HTK's mel of a frequency."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def htk_hertz(mel: float) -> float:
    """The frequency of HTK's mel."""
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)


def _logarithm(power: Array, settings: LogMel) -> Array:
    """The settings' logarithm of no less than the floor, and not further below the loudest than its range."""
    if settings.log == "none":
        return power
    above = np.maximum(power, settings.floor)
    level: Array = np.log10(above) if settings.log == "log10" else np.log(above)
    return np.maximum(level, level.max() - settings.range) if settings.range else level
