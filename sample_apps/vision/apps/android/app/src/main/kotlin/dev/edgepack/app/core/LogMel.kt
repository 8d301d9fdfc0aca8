package dev.edgepack.app.core

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.log10
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow
import kotlin.math.sqrt

/**
 * How a recording becomes a spectrogram in mel bands.
 *
 * length: samples that zeros fill up to or that are kept; 0 takes the recording as long as it is.
 * window, hop: samples of each frame, under a Hann window, and between frames. center: "reflect",
 * "zeros" or "none", what lies half a window beyond both ends. power: 1 or 2. bands: 0 keeps the plain
 * spectrum. melScale: "slaney" or "htk"; melNorm: "area" or "peak". log: "log10", "ln" or "none", of no
 * less than `floor`. range: how far below the loudest the quietest may be; 0 for any. The result is
 * (value + offset) * scale.
 */
class LogMel(
    val sampleRate: Int,
    val length: Int,
    val window: Int,
    val hop: Int,
    val center: String,
    val dropLast: Boolean,
    val power: Int,
    val bands: Int,
    val melScale: String,
    val melNorm: String,
    val lowHz: Double,
    val highHz: Double,
    val log: String,
    val floor: Double,
    val range: Double,
    val offset: Double,
    val scale: Double,
    val bandsFirst: Boolean,
)

/** A spectrogram: `bands` x `frames` numbers, or frames first, as the settings ask. */
class Spectrogram(val bands: Int, val frames: Int, val values: FloatArray)

/** The spectrogram of a recording. Throws when it gives no frame. */
fun logMel(samples: FloatArray, settings: LogMel): Spectrogram {
    val given = whole(samples, settings)
    val count = (given.size - settings.window).floorDiv(settings.hop) + 1 - (if (settings.dropLast) 1 else 0)
    require(count > 0) { "a recording of ${samples.size} samples gives no frame of ${settings.window}" }
    val plain = settings.window / 2 + 1
    val banks = if (settings.bands > 0) melBands(settings) else emptyList()
    val rows = if (settings.bands > 0) settings.bands else plain
    val hann = DoubleArray(settings.window) { 0.5 - 0.5 * cos(2.0 * PI * it / settings.window) }
    val fourier = Fourier(settings.window)
    val frame = DoubleArray(settings.window)
    val power = DoubleArray(plain)
    val levels = DoubleArray(rows * count)
    for (index in 0 until count) {
        var isSilent = true
        for (place in frame.indices) {
            val sample = given[index * settings.hop + place]
            isSilent = isSilent && sample == 0.0
            frame[place] = sample * hann[place]
        }
        // What was filled up with zeros is most of a short command, and needs no transform.
        if (isSilent) power.fill(0.0) else fourier.power(frame, power)
        if (settings.power == 1) for (k in power.indices) power[k] = sqrt(power[k])
        for (row in 0 until rows) {
            val value = if (settings.bands > 0) banks[row].of(power) else power[row]
            levels[row * count + index] = logarithm(value, settings)
        }
    }
    if (settings.range > 0 && settings.log != "none") {
        val least = levels.max() - settings.range
        for (place in levels.indices) levels[place] = max(levels[place], least)
    }
    val values = FloatArray(levels.size) { place ->
        val from = if (settings.bandsFirst) place else place % rows * count + place / rows
        ((levels[from] + settings.offset) * settings.scale).toFloat()
    }
    return Spectrogram(rows, count, values)
}

/** The samples cut or filled up to the length, and what lies beyond their ends. */
private fun whole(samples: FloatArray, settings: LogMel): DoubleArray {
    val length = if (settings.length > 0) settings.length else samples.size
    val at = { place: Int -> if (place < samples.size) samples[place].toDouble() else 0.0 }
    val half = settings.window / 2
    return when (settings.center) {
        "none" -> DoubleArray(length) { at(it) }
        "zeros" -> DoubleArray(length + 2 * half) { if (it in half until half + length) at(it - half) else 0.0 }
        else -> {
            require(length > 0) { "the recording holds no sound" }
            val places = mirrored(length, half)
            DoubleArray(places.size) { at(places[it]) }
        }
    }
}

private fun logarithm(value: Double, settings: LogMel): Double = when (settings.log) {
    "log10" -> log10(max(value, settings.floor))
    "ln" -> ln(max(value, settings.floor))
    else -> value
}

/** What the frequencies from `first` on give to a band. */
internal class Band(val first: Int, val weights: DoubleArray) {
    fun of(power: DoubleArray): Double {
        var sum = 0.0
        for (index in weights.indices) sum += weights[index] * power[first + index]
        return sum
    }
}

/** Triangles from lowHz to highHz. Source: Slaney, Auditory Toolbox, 1998; The HTK Book, 5.4. */
internal fun melBands(settings: LogMel): List<Band> {
    val slaney = settings.melScale == "slaney"
    val low = if (slaney) slaneyMel(settings.lowHz) else htkMel(settings.lowHz)
    val high = if (slaney) slaneyMel(settings.highHz) else htkMel(settings.highHz)
    val step = (high - low) / (settings.bands + 1)
    val edges = DoubleArray(settings.bands + 2) {
        if (slaney) slaneyHertz(low + step * it) else htkHertz(low + step * it)
    }
    return List(settings.bands) { band ->
        val (first, middle, last) = edges.slice(band..band + 2)
        val height = if (settings.melNorm == "area") 2.0 / (last - first) else 1.0
        val row = DoubleArray(settings.window / 2 + 1) { k ->
            val hertz = k * (settings.sampleRate / settings.window.toDouble())
            max(0.0, min((hertz - first) / (middle - first), (last - hertz) / (last - middle))) * height
        }
        val begin = row.indexOfFirst { it > 0.0 }
        val end = row.indexOfLast { it > 0.0 } + 1
        if (begin < 0) Band(0, DoubleArray(0)) else Band(begin, row.copyOfRange(begin, end))
    }
}

private const val BEND_HZ = 1000.0
private const val BEND_MEL = 15.0
private const val HZ_PER_MEL = 200.0 / 3.0
private val STEP = ln(6.4) / 27.0

private fun slaneyMel(hertz: Double): Double =
    if (hertz < BEND_HZ) hertz / HZ_PER_MEL else BEND_MEL + ln(hertz / BEND_HZ) / STEP

private fun slaneyHertz(mel: Double): Double =
    if (mel < BEND_MEL) mel * HZ_PER_MEL else BEND_HZ * exp((mel - BEND_MEL) * STEP)

private fun htkMel(hertz: Double): Double = 2595.0 * log10(1.0 + hertz / 700.0)

private fun htkHertz(mel: Double): Double = 700.0 * (10.0.pow(mel / 2595.0) - 1.0)
