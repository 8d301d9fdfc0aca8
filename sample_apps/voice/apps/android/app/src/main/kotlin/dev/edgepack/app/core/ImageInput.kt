package dev.edgepack.app.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.max
import kotlin.math.min

/**
 * How a picture becomes an input of width x height pixels.
 *
 * resize: length of the shorter side in pixels before the centre crop; 0 stretches to the size.
 * channelsFirst: whether the axis of the channels is the first or the last. Float dtypes hold
 * (pixel * scale - mean) / std, the others the pixels. mean, std: one value or one per channel, in the
 * order of the colours. color: "rgb", "bgr" or "gray".
 */
class ImageInput(
    val width: Int,
    val height: Int,
    val channels: Int,
    val channelsFirst: Boolean,
    val dtype: DType,
    val resize: Int,
    val interpolation: Interpolation,
    val color: String,
    val scale: Double,
    val mean: List<Double>,
    val std: List<Double>,
) {
    init {
        for (values in listOf(mean, std)) {
            require(values.size == 1 || values.size == channels) {
                "${values.size} values of mean or std for $channels channels"
            }
        }
        require(std.none { it == 0.0 }) { "std is 0" }
    }
}

/** The input that the settings make of a picture, without an axis for the batch. */
fun prepare(pixels: Pixels, image: ImageInput): TensorData {
    val cut = resizedAndCropped(recolored(pixels, image.channels, image.color == "gray"), image)
    val size = image.channels
    val count = image.width * image.height
    val values = DoubleArray(count * size)
    for (channel in 0 until size) {
        val mirrored = image.color == "bgr" && size > 1 && channel < 3
        val from = if (mirrored) 2 - channel else channel
        val table = table(image, channel)
        for (pixel in 0 until count) {
            val place = if (image.channelsFirst) channel * count + pixel else pixel * size + channel
            values[place] = table[cut.bytes[pixel * size + from].toInt() and 0xFF]
        }
    }
    val shape = if (image.channelsFirst) {
        intArrayOf(size, image.height, image.width)
    } else {
        intArrayOf(image.height, image.width, size)
    }
    return TensorData(image.dtype, shape, stored(values, image.dtype))
}

/** The middle of the resized picture. */
private fun resizedAndCropped(pixels: Pixels, image: ImageInput): Pixels {
    var width = image.width
    var height = image.height
    if (image.resize > 0) {
        val ratio = image.resize / min(pixels.width, pixels.height).toDouble()
        width = max(width, Math.rint(pixels.width * ratio).toInt())
        height = max(height, Math.rint(pixels.height * ratio).toInt())
    }
    return resizeAndCut(
        pixels, width, height, (width - image.width) / 2, (height - image.height) / 2,
        image.width, image.height, image.interpolation,
    )
}

/** What each of the 256 values of a channel becomes. */
private fun table(image: ImageInput, channel: Int): DoubleArray {
    if (isExact(image.dtype)) return DoubleArray(256) { it.toDouble() }
    val mean = image.mean[if (image.mean.size == 1) 0 else channel]
    val std = image.std[if (image.std.size == 1) 0 else channel]
    return DoubleArray(256) { (it * image.scale - mean) / std }
}

/** Numbers as the bytes of a tensor. */
fun stored(values: DoubleArray, dtype: DType): ByteArray {
    val out = ByteBuffer.allocate(values.size * dtype.size).order(ByteOrder.LITTLE_ENDIAN)
    when (dtype) {
        DType.FLOAT32 -> values.forEach { out.putFloat(it.toFloat()) }
        DType.FLOAT16 -> values.forEach { out.putShort(halfOf(it)) }
        DType.FLOAT64 -> values.forEach { out.putDouble(it) }
        DType.INT64 -> values.forEach { out.putLong(it.toLong()) }
        DType.INT32 -> values.forEach { out.putInt(it.toInt()) }
        DType.INT16 -> values.forEach { out.putShort(it.toInt().toShort()) }
        DType.INT8, DType.UINT8, DType.BOOL -> values.forEach { out.put(it.toInt().toByte()) }
    }
    return out.array()
}

/** The 16 bits of the IEEE half that is nearest, of two the even one. */
fun halfOf(value: Double): Short {
    val sign = if (value < 0 || (value == 0.0 && 1.0 / value < 0)) 0x8000 else 0
    val magnitude = Math.abs(value)
    val bits = when {
        value.isNaN() -> 0x7E00
        magnitude >= 65520.0 -> 0x7C00
        magnitude < Math.pow(2.0, -14.0) -> Math.rint(magnitude * Math.pow(2.0, 24.0)).toInt()
        else -> {
            val exponent = Math.getExponent(magnitude)
            val fraction = Math.rint(magnitude / Math.pow(2.0, exponent - 10.0)).toInt() - 0x400
            ((exponent + 15) shl 10) + fraction
        }
    }
    return (sign or bits).toShort()
}
