package dev.edgepack.app.core

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin

/**
 * The discrete Fourier transform of any number of real samples, in double precision.
 *
 * Splits by the prime factors of the number (twos in pairs); a prime number takes its square of steps.
 * Holds scratch space: not for two threads at once. Source: Cooley and Tukey, 1965.
 */
class Fourier(val size: Int) {
    private val cosine = DoubleArray(size) { cos(2.0 * PI * it / size) }
    private val sine = DoubleArray(size) { -sin(2.0 * PI * it / size) }
    private val factors = factorsOf(size)
    private val real = DoubleArray(size)
    private val imaginary = DoubleArray(size)
    private val spareReal = DoubleArray(factors.maxOrNull() ?: 1)
    private val spareImaginary = DoubleArray(factors.maxOrNull() ?: 1)

    /** Squared magnitudes of the first size / 2 + 1 frequencies of `samples`, put into `power`. */
    fun power(samples: DoubleArray, power: DoubleArray) {
        transform(samples, 0, 1, 0, size, 0)
        for (k in 0..size / 2) power[k] = real[k] * real[k] + imaginary[k] * imaginary[k]
    }

    /** Transform `count` samples from `from` on, `stride` apart, into the places from `to` on. */
    private fun transform(samples: DoubleArray, from: Int, stride: Int, to: Int, count: Int, level: Int) {
        if (count == 1) {
            real[to] = samples[from]
            imaginary[to] = 0.0
            return
        }
        val factor = factors[level]
        val part = count / factor
        for (r in 0 until factor) {
            transform(samples, from + r * stride, stride * factor, to + r * part, part, level + 1)
        }
        for (k in 0 until part) combine(to + k, part, factor, k * stride, part * stride)
    }

    /** One butterfly: `factor` places, `part` apart; turn and step are angles in 1 / size of a circle. */
    private fun combine(first: Int, part: Int, factor: Int, turn: Int, step: Int) {
        for (q in 0 until factor) {
            var sumReal = real[first]
            var sumImaginary = imaginary[first]
            val angle = (turn + q * step) % size
            var at = 0
            for (r in 1 until factor) {
                at += angle
                if (at >= size) at -= size
                val place = first + r * part
                sumReal += real[place] * cosine[at] - imaginary[place] * sine[at]
                sumImaginary += real[place] * sine[at] + imaginary[place] * cosine[at]
            }
            spareReal[q] = sumReal
            spareImaginary[q] = sumImaginary
        }
        for (q in 0 until factor) {
            real[first + q * part] = spareReal[q]
            imaginary[first + q * part] = spareImaginary[q]
        }
    }

    private companion object {
        fun factorsOf(size: Int): IntArray {
            val found = mutableListOf<Int>()
            var rest = size
            while (rest % 4 == 0) {
                found += 4
                rest /= 4
            }
            var factor = 2
            while (rest > 1) {
                while (rest % factor == 0) {
                    found += factor
                    rest /= factor
                }
                factor += 1
            }
            return found.toIntArray()
        }
    }
}
