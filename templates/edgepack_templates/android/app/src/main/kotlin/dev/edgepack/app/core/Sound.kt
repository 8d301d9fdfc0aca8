package dev.edgepack.app.core

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin
import kotlin.math.sqrt

/** 16-bit samples as floats from -1 to 1. */
fun fromPcm16(samples: ShortArray): FloatArray = FloatArray(samples.size) { samples[it] / 32768f }

/** Samples from -1 to 1 as 16 bits: times 32768, halves to even, clipped. */
fun toPcm16(samples: FloatArray): ShortArray =
    ShortArray(samples.size) { Math.rint(samples[it] * 32768.0).coerceIn(-32768.0, 32767.0).toInt().toShort() }

/** The mean of all channels; `samples` holds one after the other of each moment. */
fun mono(samples: FloatArray, channels: Int): FloatArray = FloatArray(samples.size / channels) { moment ->
    var sum = 0.0
    for (channel in 0 until channels) sum += samples[moment * channels + channel]
    (sum / channels).toFloat()
}

private const val ZERO_CROSSINGS = 64
private const val ROLLOFF = 0.94
private const val KAISER_BETA = 12.0
private const val MOST_PHASES = 2000

/**
 * The sound as if recorded at another rate: ceil(samples * wanted / rate) of them.
 *
 * Sample k is the sound at place k * rate / wanted through a sinc in a Kaiser window, 64 zero crossings
 * to both sides, its corner at 0.94 of the lower Nyquist frequency. Each phase's weights add up to 1.
 */
fun resample(samples: FloatArray, rate: Int, wanted: Int): FloatArray {
    require(rate > 0 && wanted > 0) { "sound cannot be resampled from $rate to $wanted Hz" }
    if (rate == wanted) return samples.copyOf()
    val shared = greatestCommonDivisor(rate, wanted)
    val up = wanted / shared
    val down = rate / shared
    require(up <= MOST_PHASES) { "sound cannot be resampled from $rate to $wanted Hz: an odd ratio" }
    val count = ((samples.size.toLong() * up + down - 1) / down).toInt()
    val phases = arrayOfNulls<DoubleArray>(up)
    val reach = filterReach(up, down)
    return FloatArray(count) { index ->
        val place = index.toLong() * down
        val phase = (place % up).toInt()
        val taps = phases[phase] ?: filterPhase(phase, up, down).also { phases[phase] = it }
        val first = (place / up).toInt() + 1 - reach
        var sum = 0.0
        for (tap in max(0, -first) until min(taps.size, samples.size - first)) {
            sum += taps[tap] * samples[first + tap]
        }
        sum.toFloat()
    }
}

private fun greatestCommonDivisor(one: Int, other: Int): Int =
    if (other == 0) one else greatestCommonDivisor(other, one % other)

private fun filterReach(up: Int, down: Int): Int =
    ceil(ZERO_CROSSINGS / (ROLLOFF * min(1.0, up / down.toDouble()))).toInt()

/** Weights around a place phase / up behind a sample, from 1 - reach samples before it on. */
private fun filterPhase(phase: Int, up: Int, down: Int): DoubleArray {
    val corner = ROLLOFF * min(1.0, up / down.toDouble())
    val width = ZERO_CROSSINGS / corner
    val reach = filterReach(up, down)
    val taps = DoubleArray(2 * reach) { index ->
        val distance = 1 - reach + index - phase / up.toDouble()
        val inside = 1.0 - (distance / width) * (distance / width)
        val angle = PI * corner * distance
        val sinc = if (angle != 0.0) sin(angle) / angle else 1.0
        if (inside > 0.0) sinc * besselI0(KAISER_BETA * sqrt(inside)) else 0.0
    }
    val total = taps.sum()
    return DoubleArray(taps.size) { taps[it] / total }
}

/** The modified Bessel function of the first kind and order 0, by its series. */
private fun besselI0(x: Double): Double {
    var total = 1.0
    var term = 1.0
    var step = 1
    while (term > total * 1e-17) {
        val factor = x / (2 * step)
        term *= factor * factor
        total += term
        step += 1
    }
    return total
}

/**
 * How a recording becomes windows of `size` samples, one every `hop`.
 *
 * before: zeros in front of the first sample. pad: samples that fill no whole window are filled up with
 * zeros, not dropped.
 */
class Frames(val sampleRate: Int, val size: Int, val hop: Int, val before: Int, val pad: Boolean)

/** Windows of a recording; window k starts at sample k * hop - before. */
fun frames(samples: FloatArray, settings: Frames): List<FloatArray> {
    val beyond = settings.before + samples.size - settings.size
    val count = when {
        settings.pad -> max(0, (beyond + settings.hop - 1).floorDiv(settings.hop)) + 1
        beyond >= 0 -> beyond / settings.hop + 1
        else -> 0
    }
    return List(count) { index ->
        val first = index * settings.hop - settings.before
        FloatArray(settings.size) { place -> samples.getOrElse(first + place) { 0f } }
    }
}

/** Places from -beyond to count + beyond - 1, those outside mirrored at the first and last sample. */
internal fun mirrored(count: Int, beyond: Int): IntArray {
    val period = max(1, 2 * (count - 1))
    return IntArray(count + 2 * beyond) { index ->
        val folded = (index - beyond).mod(period)
        if (count == 1) 0 else min(folded, abs(period - folded))
    }
}
