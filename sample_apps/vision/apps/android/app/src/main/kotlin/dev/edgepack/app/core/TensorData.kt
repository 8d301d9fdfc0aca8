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

/**
 * A tensor: what its numbers mean, its size along each axis, and the numbers. Nobody changes it.
 *
 * They are kept in an array of Kotlin's own: float16 by its bits as ShortArray, int8 and uint8 as
 * ByteArray, the others as one would think.
 */
class TensorData private constructor(val dtype: DType, val shape: IntArray, private val stored: Any) {
    val count: Int = shape.fold(1) { product, size -> product * size }

    /** Little-endian bytes, as files have them. */
    constructor(dtype: DType, shape: IntArray, bytes: ByteArray) : this(dtype, shape, read(dtype, shape, bytes))

    constructor(shape: IntArray, floats: FloatArray) : this(DType.FLOAT32, shape, floats as Any) {
        require(floats.size == count) { "${floats.size} numbers for ${shape.joinToString(" x ")}" }
    }

    fun floats(): FloatArray = stored as FloatArray

    fun ints(): IntArray = stored as IntArray

    fun longs(): LongArray = stored as LongArray

    fun shorts(): ShortArray = stored as ShortArray

    fun doubles(): DoubleArray = stored as DoubleArray

    fun bytes(): ByteArray = stored as ByteArray

    fun booleans(): BooleanArray = stored as BooleanArray

    /** The numbers, whatever their dtype; 64-bit integers beyond 2^53 lose their last digits. */
    fun numbers(): DoubleArray = when (dtype) {
        DType.FLOAT32 -> numbersOf(floats())
        DType.FLOAT16 -> numbersOfHalves(shorts())
        DType.FLOAT64 -> doubles()
        DType.INT64 -> numbersOf(longs())
        DType.INT32 -> numbersOf(ints())
        DType.INT16 -> shorts().let { data -> DoubleArray(count) { data[it].toDouble() } }
        DType.INT8 -> numbersOf(bytes())
        DType.UINT8 -> numbersOfUnsigned(bytes())
        DType.BOOL -> numbersOf(booleans())
    }

    /** The same numbers in other axes, as many. */
    fun shaped(shape: IntArray): TensorData {
        require(shape.fold(1) { product, size -> product * size } == count) {
            "${this.shape.joinToString(" x ")} numbers cannot become ${shape.joinToString(" x ")}"
        }
        return TensorData(dtype, shape, stored)
    }

    companion object {
        /** Numbers of any dtype, each as near as the dtype has it. */
        fun of(dtype: DType, shape: IntArray, values: DoubleArray): TensorData =
            TensorData(dtype, shape, stored(values, dtype))

        fun zeros(dtype: DType, shape: IntArray): TensorData =
            TensorData(dtype, shape, ByteArray(shape.fold(dtype.size) { product, size -> product * size }))

        /** What a runtime gave: an array of the kind that the dtype is kept in. */
        fun given(dtype: DType, shape: IntArray, array: Any): TensorData = TensorData(dtype, shape, array)

        private fun read(dtype: DType, shape: IntArray, bytes: ByteArray): Any {
            val count = shape.fold(1) { product, size -> product * size }
            require(bytes.size == count * dtype.size) { "${bytes.size} bytes for $count numbers of ${dtype.label}" }
            val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
            return when (dtype) {
                DType.FLOAT32 -> FloatArray(count).also { buffer.asFloatBuffer().get(it) }
                DType.FLOAT64 -> DoubleArray(count).also { buffer.asDoubleBuffer().get(it) }
                DType.INT64 -> LongArray(count).also { buffer.asLongBuffer().get(it) }
                DType.INT32 -> IntArray(count).also { buffer.asIntBuffer().get(it) }
                DType.FLOAT16, DType.INT16 -> ShortArray(count).also { buffer.asShortBuffer().get(it) }
                DType.INT8, DType.UINT8 -> bytes
                DType.BOOL -> BooleanArray(count) { bytes[it] != 0.toByte() }
            }
        }
    }
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
