package dev.edgepack.app.core

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin

/**
 * The discrete Fourier transform of any number of real samples, in double precision.
 *
 * Splits by the prime factors of the number (twos in pairs); a prime number takes its square of steps.
 * An even number of samples is transformed as half as many complex ones. Holds scratch space: not for
 * two threads at once. Source: Cooley and Tukey, Mathematics of Computation 19, 1965.
 */
class Fourier(val size: Int) {
    private val isEven = size % 2 == 0
    private val points = if (isEven) size / 2 else size
    private val cosine = DoubleArray(points) { cos(2.0 * PI * it / points) }
    private val sine = DoubleArray(points) { -sin(2.0 * PI * it / points) }
    private val fineCosine = DoubleArray(points + 1) { cos(2.0 * PI * it / size) }
    private val fineSine = DoubleArray(points + 1) { -sin(2.0 * PI * it / size) }
    private val factors = factorsOf(points)
    private val real = DoubleArray(points)
    private val imaginary = DoubleArray(points)
    private val spareReal = DoubleArray(factors.maxOrNull() ?: 1)
    private val spareImaginary = DoubleArray(factors.maxOrNull() ?: 1)

    /** Squared magnitudes of the first size / 2 + 1 frequencies of `samples`, put into `power`. */
    fun power(samples: DoubleArray, power: DoubleArray) {
        transform(samples, 0, 1, 0, points, 0)
        for (k in 0..size / 2) power[k] = if (isEven) untangled(k) else squared(real[k], imaginary[k])
    }

    private fun squared(real: Double, imaginary: Double): Double = real * real + imaginary * imaginary

    /** The squared magnitude of frequency k, out of a transform of even and odd samples at once. */
    private fun untangled(k: Int): Double {
        val one = if (k == points) 0 else k
        val other = if (k == 0) 0 else points - k
        val evenReal = (real[one] + real[other]) / 2
        val evenImaginary = (imaginary[one] - imaginary[other]) / 2
        val oddReal = (imaginary[one] + imaginary[other]) / 2
        val oddImaginary = (real[other] - real[one]) / 2
        return squared(
            evenReal + oddReal * fineCosine[k] - oddImaginary * fineSine[k],
            evenImaginary + oddReal * fineSine[k] + oddImaginary * fineCosine[k],
        )
    }

    /** Transform `count` points from `from` on, `stride` apart, into the places from `to` on. */
    private fun transform(samples: DoubleArray, from: Int, stride: Int, to: Int, count: Int, level: Int) {
        if (count == 1) {
            real[to] = if (isEven) samples[2 * from] else samples[from]
            imaginary[to] = if (isEven) samples[2 * from + 1] else 0.0
            return
        }
        val factor = factors[level]
        val part = count / factor
        for (r in 0 until factor) {
            transform(samples, from + r * stride, stride * factor, to + r * part, part, level + 1)
        }
        for (k in 0 until part) combine(to + k, part, factor, k * stride, part * stride)
    }

    /** One butterfly: `factor` places, `part` apart; turn and step are angles in 1 / points of a circle. */
    private fun combine(first: Int, part: Int, factor: Int, turn: Int, step: Int) {
        for (q in 0 until factor) {
            var sumReal = real[first]
            var sumImaginary = imaginary[first]
            val angle = (turn + q * step) % points
            var at = 0
            for (r in 1 until factor) {
                at += angle
                if (at >= points) at -= points
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
