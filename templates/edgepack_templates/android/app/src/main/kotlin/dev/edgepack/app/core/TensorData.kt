package dev.edgepack.app.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** How the numbers of a tensor are stored: always little-endian, one byte for a boolean. */
enum class DType(val label: String, val size: Int) {
    FLOAT32("float32", 4),
    FLOAT16("float16", 2),
    FLOAT64("float64", 8),
    INT64("int64", 8),
    INT32("int32", 4),
    INT16("int16", 2),
    INT8("int8", 1),
    UINT8("uint8", 1),
    BOOL("bool", 1);

    companion object {
        fun of(label: String): DType =
            values().firstOrNull { it.label == label }
                ?: throw IllegalArgumentException("unknown dtype $label")
    }
}

/** A tensor: what its bytes mean, its size along each axis, and the bytes. */
class TensorData(val dtype: DType, val shape: IntArray, val bytes: ByteArray) {
    val count: Int = shape.fold(1) { product, size -> product * size }

    init {
        require(bytes.size == count * dtype.size) {
            "${bytes.size} bytes for $count numbers of ${dtype.label}"
        }
    }

    fun floats(): FloatArray = FloatArray(count).also { buffer().asFloatBuffer().get(it) }

    fun ints(): IntArray = IntArray(count).also { buffer().asIntBuffer().get(it) }

    fun longs(): LongArray = LongArray(count).also { buffer().asLongBuffer().get(it) }

    fun shorts(): ShortArray = ShortArray(count).also { buffer().asShortBuffer().get(it) }

    fun doubles(): DoubleArray = DoubleArray(count).also { buffer().asDoubleBuffer().get(it) }

    fun booleans(): BooleanArray = BooleanArray(count) { bytes[it] != 0.toByte() }

    /** The numbers, whatever their dtype; 64-bit integers beyond 2^53 lose their last digits. */
    fun numbers(): DoubleArray = when (dtype) {
        DType.FLOAT32 -> numbersOf(floats())
        DType.FLOAT16 -> numbersOfHalves(shorts())
        DType.FLOAT64 -> doubles()
        DType.INT64 -> numbersOf(longs())
        DType.INT32 -> numbersOf(ints())
        DType.INT16 -> shorts().let { data -> DoubleArray(count) { data[it].toDouble() } }
        DType.INT8 -> numbersOf(bytes)
        DType.UINT8 -> numbersOfUnsigned(bytes)
        DType.BOOL -> numbersOf(booleans())
    }

    private fun buffer(): ByteBuffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
}

fun numbersOf(data: FloatArray): DoubleArray = DoubleArray(data.size) { data[it].toDouble() }

fun numbersOf(data: LongArray): DoubleArray = DoubleArray(data.size) { data[it].toDouble() }

fun numbersOf(data: IntArray): DoubleArray = DoubleArray(data.size) { data[it].toDouble() }

fun numbersOf(data: ByteArray): DoubleArray = DoubleArray(data.size) { data[it].toDouble() }

fun numbersOf(data: BooleanArray): DoubleArray = DoubleArray(data.size) { if (data[it]) 1.0 else 0.0 }

fun numbersOfUnsigned(data: ByteArray): DoubleArray =
    DoubleArray(data.size) { (data[it].toInt() and 0xFF).toDouble() }

fun numbersOfHalves(data: ShortArray): DoubleArray = DoubleArray(data.size) { halfToDouble(data[it]) }

/** The number that the 16 bits of an IEEE half stand for. */
fun halfToDouble(bits: Short): Double {
    val exponent = (bits.toInt() shr 10) and 0x1F
    val fraction = bits.toInt() and 0x3FF
    val magnitude = when (exponent) {
        0 -> fraction * Math.pow(2.0, -24.0)
        0x1F -> if (fraction == 0) Double.POSITIVE_INFINITY else Double.NaN
        else -> (0x400 + fraction) * Math.pow(2.0, (exponent - 25).toDouble())
    }
    return if (bits < 0) -magnitude else magnitude
}
