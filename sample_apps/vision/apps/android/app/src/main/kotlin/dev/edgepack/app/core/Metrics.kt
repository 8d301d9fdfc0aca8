package dev.edgepack.app.core

import kotlin.math.abs
import kotlin.math.log10
import kotlin.math.max
import kotlin.math.sqrt

/**
 * How far the device's output is from the reference, summed in double precision.
 *
 * agreement: for whole numbers and booleans the part that is equal, for others the part of the rows
 * whose largest number is in the same place; null where a row has one number. unfit: how many numbers
 * are infinite or no numbers at all.
 */
class Metrics(
    val maxAbs: Double,
    val sqnrDb: Double,
    val psnrDb: Double,
    val cosine: Double,
    val agreement: Double?,
    val unfit: Int,
)

/** Metrics of one output; `peak` is the largest absolute number that the reference ever has. */
fun compare(reference: TensorData, actual: DoubleArray, peak: Double): Metrics {
    val expected = reference.numbers()
    require(expected.size == actual.size) { "${actual.size} numbers, expected ${expected.size}" }
    var maxAbs = 0.0
    var noise = 0.0
    var signal = 0.0
    var power = 0.0
    var product = 0.0
    for (i in expected.indices) {
        val error = abs(expected[i] - actual[i])
        maxAbs = if (error > maxAbs || error.isNaN()) error else maxAbs
        noise += error * error
        signal += expected[i] * expected[i]
        power += actual[i] * actual[i]
        product += expected[i] * actual[i]
    }
    return Metrics(
        maxAbs = maxAbs,
        sqnrDb = decibels(signal, noise),
        psnrDb = decibels(peak * peak * expected.size, noise),
        cosine = when {
            signal == 0.0 && power == 0.0 -> 1.0
            signal == 0.0 || power == 0.0 -> 0.0
            else -> product / (sqrt(signal) * sqrt(power))
        },
        agreement = if (isExact(reference.dtype)) equal(expected, actual) else argmaxAgreement(reference, actual),
        unfit = actual.count { it.isNaN() || it.isInfinite() },
    )
}

/** A count, an index or a flag is right or wrong; distances between them mean nothing. */
fun isExact(dtype: DType): Boolean =
    dtype != DType.FLOAT32 && dtype != DType.FLOAT16 && dtype != DType.FLOAT64

/** What one output of one case breaks of the limits, in words; empty when all hold. */
fun broken(metrics: Metrics, dtype: DType, limits: Map<String, Double>, peak: Double): List<String> {
    val faults = mutableListOf<String>()
    if (metrics.unfit > 0) faults += "${metrics.unfit} numbers are not finite"
    if (isExact(dtype)) return faults
    limits["max_abs"]?.let { limit ->
        val scaled = limit * max(1.0, peak)
        if (!(metrics.maxAbs <= scaled)) faults += "max error ${shown(metrics.maxAbs)}, limit ${shown(scaled)}"
    }
    val least = listOf(
        Triple("min_cosine", "cosine", metrics.cosine),
        Triple("min_psnr_db", "PSNR", metrics.psnrDb),
        Triple("min_sqnr_db", "SQNR", metrics.sqnrDb),
    )
    for ((name, words, value) in least) {
        val limit = limits[name] ?: continue
        if (!(value >= limit)) faults += "$words ${shown(value)}, limit ${shown(limit)}"
    }
    return faults
}

/** The least agreement over all cases that an output must reach, null when any will do. */
fun leastAgreement(dtype: DType, limits: Map<String, Double>): Double? {
    val given = limits["min_argmax_agreement"]
    if (given != null || !isExact(dtype)) return given
    return if ("max_abs" in limits) 1.0 else 0.99
}

private fun decibels(signal: Double, noise: Double): Double = when {
    noise.isNaN() -> Double.NaN
    noise == 0.0 -> Double.POSITIVE_INFINITY
    else -> 10.0 * log10(signal / noise)
}

private fun equal(expected: DoubleArray, actual: DoubleArray): Double {
    if (expected.isEmpty()) return 1.0
    return expected.indices.count { expected[it] == actual[it] } / expected.size.toDouble()
}

private fun argmaxAgreement(reference: TensorData, actual: DoubleArray): Double? {
    val row = reference.shape.lastOrNull() ?: 1
    if (row < 2 || actual.isEmpty()) return null
    val expected = reference.numbers()
    val starts = expected.indices step row
    return starts.count { argmax(expected, it, row) == argmax(actual, it, row) } / starts.count().toDouble()
}

/** Index of the first largest number of a row, -1 if it holds one that is not a number. */
private fun argmax(data: DoubleArray, start: Int, row: Int): Int {
    var best = 0
    for (i in 0 until row) {
        if (data[start + i].isNaN()) return -1
        if (data[start + i] > data[start + best]) best = i
    }
    return best
}
