package dev.edgepack.app.core

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

/** How a picture is resampled: how far the filter reaches when it enlarges. */
enum class Interpolation(val label: String, val reach: Double) {
    NEAREST("nearest", 0.0),
    BILINEAR("bilinear", 1.0),
    BICUBIC("bicubic", 2.0),
    LANCZOS("lanczos", 3.0);

    /** The filter within its reach. */
    fun kernel(place: Double): Double {
        val x = abs(place)
        return when (this) {
            NEAREST -> 1.0
            BILINEAR -> 1.0 - x
            BICUBIC -> if (x < 1.0) (1.5 * x - 2.5) * x * x + 1 else (((x - 5) * x + 8) * x - 4) * -0.5
            LANCZOS -> sinc(place) * sinc(place / 3)
        }
    }

    private fun sinc(x: Double): Double = if (x == 0.0) 1.0 else sin(x * PI) / (x * PI)

    companion object {
        fun of(label: String): Interpolation =
            values().firstOrNull { it.label == label }
                ?: throw IllegalArgumentException("unknown interpolation $label")
    }
}

private const val FRACTION_BITS = 22

/** Part of one direction of a resize: `count` places from `first` on, of `whole` that `size` become. */
private class Span(val size: Int, val whole: Int, val first: Int, val count: Int)

/** For each place of a span the first of `size` that counts, and the weights from there on. */
private class Weights(val first: IntArray, val taps: Array<IntArray>) {
    val begin: Int get() = first.min()
    val end: Int get() = first.indices.maxOf { first[it] + taps[it].size }
}

/** The picture with another size, every pixel the one that Pillow's Image.resize gives. */
fun resize(pixels: Pixels, width: Int, height: Int, interpolation: Interpolation): Pixels =
    resizeAndCut(pixels, width, height, 0, 0, width, height, interpolation)

/**
 * A part of the resized picture: `width` x `height` pixels from (left, top) on.
 *
 * The width changes first and the result is rounded to 8 bits; only where the height loses more than
 * twice the pixels that the width loses it changes first, as in Pillow since 13. Weights are whole
 * multiples of 2**-22. RGBA is premultiplied around it, except for nearest.
 * Source: Pillow 13.0, Resample.c and Geometry.c.
 */
fun resizeAndCut(
    pixels: Pixels,
    wholeWidth: Int,
    wholeHeight: Int,
    left: Int,
    top: Int,
    width: Int,
    height: Int,
    interpolation: Interpolation,
): Pixels {
    val columns = Span(pixels.width, wholeWidth, left, width)
    val rows = Span(pixels.height, wholeHeight, top, height)
    val isWhole = wholeWidth == pixels.width && wholeHeight == pixels.height
    if (isWhole || interpolation == Interpolation.NEAREST) {
        return pick(pixels, nearestPlaces(columns), nearestPlaces(rows))
    }
    val alpha = pixels.channels == 4
    val given = if (alpha) Pixels(pixels.width, pixels.height, 4, premultiplied(pixels.bytes)) else pixels
    val fewerRows = pixels.height - wholeHeight
    val across = weights(columns, interpolation)
    val down = weights(rows, interpolation)
    val done = if (fewerRows > 0 && fewerRows > 2 * (pixels.width - wholeWidth)) {
        resampleRows(resampleColumns(given, down, 0), across, 0, height)
    } else {
        val needed = resampleRows(given, across, down.begin, down.end - down.begin)
        resampleColumns(needed, down, down.begin)
    }
    return if (alpha) Pixels(width, height, 4, unmultiplied(done.bytes)) else done
}

/** For each place the one that is taken; summed up step by step, as Pillow does. */
private fun nearestPlaces(span: Span): IntArray {
    val step = span.size / span.whole.toDouble()
    var place = step * 0.5
    val all = IntArray(span.whole) { min(place.toInt(), span.size - 1).also { place += step } }
    return all.copyOfRange(span.first, span.first + span.count)
}

private fun pick(pixels: Pixels, columns: IntArray, rows: IntArray): Pixels {
    val size = pixels.channels
    val out = ByteArray(rows.size * columns.size * size)
    var place = 0
    for (y in rows) {
        for (x in columns) {
            val from = (y * pixels.width + x) * size
            pixels.bytes.copyInto(out, place, from, from + size)
            place += size
        }
    }
    return Pixels(columns.size, rows.size, size, out)
}

private fun weights(span: Span, interpolation: Interpolation): Weights {
    if (span.size == span.whole) {
        val one = intArrayOf(1 shl FRACTION_BITS)
        return Weights(IntArray(span.count) { span.first + it }, Array(span.count) { one })
    }
    val scale = span.size / span.whole.toDouble()
    val stretch = max(scale, 1.0)
    val support = interpolation.reach * stretch
    val inverse = 1.0 / stretch
    val first = IntArray(span.count)
    val taps = Array(span.count) { index ->
        val center = (span.first + index + 0.5) * scale
        first[index] = max(0, (center - support + 0.5).toInt())
        val end = min(span.size, (center + support + 0.5).toInt())
        val real = DoubleArray(end - first[index]) { x ->
            val step = (x + first[index] - center + 0.5) * inverse
            if (-interpolation.reach <= step && step < interpolation.reach) interpolation.kernel(step) else 0.0
        }
        var total = 0.0
        for (weight in real) total += weight
        IntArray(real.size) { fixed(if (total != 0.0) real[it] / total else real[it]) }
    }
    return Weights(first, taps)
}

/** A weight as a multiple of 2**-22, halves rounded away from 0. */
private fun fixed(weight: Double): Int =
    (weight * (1 shl FRACTION_BITS) + (if (weight < 0) -0.5 else 0.5)).toInt()

/** `count` rows from `from` on, each resampled. */
private fun resampleRows(pixels: Pixels, weights: Weights, from: Int, count: Int): Pixels {
    val size = pixels.channels
    val width = weights.first.size
    val given = pixels.bytes
    val out = ByteArray(count * width * size)
    var place = 0
    for (y in from until from + count) {
        val row = y * pixels.width
        for (x in 0 until width) {
            val taps = weights.taps[x]
            val start = (row + weights.first[x]) * size
            for (channel in 0 until size) {
                var sum = 1 shl (FRACTION_BITS - 1)
                var at = start + channel
                for (tap in taps) {
                    sum += (given[at].toInt() and 0xFF) * tap
                    at += size
                }
                out[place++] = clipped(sum)
            }
        }
    }
    return Pixels(width, count, size, out)
}

/** All columns, each resampled; the picture begins with row `begin` of the whole one. */
private fun resampleColumns(pixels: Pixels, weights: Weights, begin: Int): Pixels {
    val stride = pixels.width * pixels.channels
    val height = weights.first.size
    val given = pixels.bytes
    val out = ByteArray(height * stride)
    val sums = IntArray(stride)
    for (y in 0 until height) {
        sums.fill(1 shl (FRACTION_BITS - 1))
        weights.taps[y].forEachIndexed { index, tap ->
            val start = (weights.first[y] - begin + index) * stride
            for (x in 0 until stride) sums[x] += (given[start + x].toInt() and 0xFF) * tap
        }
        for (x in 0 until stride) out[y * stride + x] = clipped(sums[x])
    }
    return Pixels(pixels.width, height, pixels.channels, out)
}

private fun clipped(sum: Int): Byte = (sum shr FRACTION_BITS).coerceIn(0, 255).toByte()

/** RGBA with the colours times alpha. */
private fun premultiplied(given: ByteArray): ByteArray {
    val out = given.copyOf()
    for (pixel in given.indices step 4) {
        val alpha = given[pixel + 3].toInt() and 0xFF
        for (place in pixel until pixel + 3) {
            val product = (given[place].toInt() and 0xFF) * alpha + 128
            out[place] = (((product shr 8) + product) shr 8).toByte()
        }
    }
    return out
}

/** RGBA with the colours divided by alpha, towards 0; untouched where alpha is 0 or 255. */
private fun unmultiplied(given: ByteArray): ByteArray {
    val out = given.copyOf()
    for (pixel in given.indices step 4) {
        val alpha = given[pixel + 3].toInt() and 0xFF
        if (alpha == 0 || alpha == 255) continue
        for (place in pixel until pixel + 3) {
            out[place] = min(255, 255 * (given[place].toInt() and 0xFF) / alpha).toByte()
        }
    }
    return out
}
