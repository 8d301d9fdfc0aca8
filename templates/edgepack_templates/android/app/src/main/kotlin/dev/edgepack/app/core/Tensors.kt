package dev.edgepack.app.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A float32 tensor. */
fun tensorOf(values: FloatArray, vararg shape: Int): TensorData {
    val bytes = ByteBuffer.allocate(values.size * DType.FLOAT32.size).order(ByteOrder.LITTLE_ENDIAN)
    bytes.asFloatBuffer().put(values)
    return TensorData(DType.FLOAT32, shape, bytes.array())
}

/** A tensor of whole numbers, such as tokens and their places, in whatever dtype the model takes. */
fun tensorOf(numbers: IntArray, dtype: DType, vararg shape: Int): TensorData =
    TensorData(dtype, shape, stored(numbersOf(numbers), dtype))

/** A tensor of zeros, such as a cache before the first step. */
fun zeros(dtype: DType, vararg shape: Int): TensorData =
    TensorData(dtype, shape, ByteArray(shape.fold(dtype.size) { product, size -> product * size }))

/** The numbers of a tensor as 32-bit floats, whatever their dtype. */
fun floatsOf(tensor: TensorData): FloatArray {
    if (tensor.dtype == DType.FLOAT32) return tensor.floats()
    val numbers = tensor.numbers()
    return FloatArray(numbers.size) { numbers[it].toFloat() }
}
