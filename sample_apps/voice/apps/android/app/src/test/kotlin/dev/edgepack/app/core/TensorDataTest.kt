package dev.edgepack.app.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class TensorDataTest {
    private fun bytes(vararg values: Int) = ByteArray(values.size) { values[it].toByte() }

    private fun numbers(dtype: DType, vararg values: Int) =
        TensorData(dtype, intArrayOf(values.size / dtype.size), bytes(*values)).numbers()

    @Test
    fun everyDtypeIsReadAsLittleEndian() {
        assertArrayEquals(doubleArrayOf(1.0, -2.5), numbers(DType.FLOAT32, 0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC0), 0.0)
        assertArrayEquals(doubleArrayOf(1.0), numbers(DType.FLOAT64, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F), 0.0)
        assertArrayEquals(doubleArrayOf(-2.0), numbers(DType.INT64, 0xFE, 255, 255, 255, 255, 255, 255, 255), 0.0)
        assertArrayEquals(doubleArrayOf(258.0), numbers(DType.INT32, 2, 1, 0, 0), 0.0)
        assertArrayEquals(doubleArrayOf(-1.0), numbers(DType.INT16, 255, 255), 0.0)
        assertArrayEquals(doubleArrayOf(-128.0, 127.0), numbers(DType.INT8, 0x80, 0x7F), 0.0)
        assertArrayEquals(doubleArrayOf(128.0, 127.0), numbers(DType.UINT8, 0x80, 0x7F), 0.0)
        assertArrayEquals(doubleArrayOf(0.0, 1.0), numbers(DType.BOOL, 0, 1), 0.0)
    }

    @Test
    fun halvesAreReadWithSubnormalsAndSpecials() {
        assertEquals(1.0, halfToDouble(0x3C00), 0.0)
        assertEquals(-2.0, halfToDouble(0xC000.toShort()), 0.0)
        assertEquals(65504.0, halfToDouble(0x7BFF), 0.0)
        assertEquals(5.9604644775390625e-8, halfToDouble(0x0001), 0.0)
        assertEquals(Double.NEGATIVE_INFINITY, halfToDouble(0xFC00.toShort()), 0.0)
        assertTrue(halfToDouble(0x7E00).isNaN())
    }

    @Test
    fun aWrongNumberOfBytesIsRefused() {
        assertThrows(IllegalArgumentException::class.java) {
            TensorData(DType.FLOAT32, intArrayOf(2), ByteArray(7))
        }
    }

    @Test
    fun aTensorWithoutAxesHoldsOneNumber() {
        assertEquals(1, TensorData(DType.INT8, intArrayOf(), bytes(3)).count)
    }
}
