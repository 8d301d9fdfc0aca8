package dev.edgepack.app.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class TensorsTest {
    @Test
    fun floatsComeBackAsTheyWere() {
        val tensor = tensorOf(floatArrayOf(1f, -2.5f, 3e-9f), 1, 3)
        assertArrayEquals(floatArrayOf(1f, -2.5f, 3e-9f), floatsOf(tensor), 0f)
        assertEquals(listOf(1, 3), tensor.shape.toList())
        assertThrows(IllegalArgumentException::class.java) { tensorOf(FloatArray(3), 2, 2) }
    }

    @Test
    fun tokensFitWhateverTheModelTakes() {
        for (dtype in DType.values().filter { it != DType.BOOL }) {
            val tensor = tensorOf(intArrayOf(0, 1, 120), dtype, 3)
            assertEquals(dtype, tensor.dtype)
            assertArrayEquals(floatArrayOf(0f, 1f, 120f), floatsOf(tensor), 0f)
        }
        assertEquals(listOf(51864L), tensorOf(intArrayOf(51864), DType.INT64, 1).longs().toList())
    }

    @Test
    fun aCacheBeginsWithZeros() {
        for (dtype in DType.values()) {
            assertArrayEquals(FloatArray(6), floatsOf(zeros(dtype, 1, 2, 3)), 0f)
        }
        assertEquals(1, zeros(DType.INT32).count)
    }
}
