package dev.edgepack.app.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class MetricsTest {
    private fun tensor(shape: IntArray, vararg values: Double): TensorData {
        val bytes = ByteBuffer.allocate(8 * values.size).order(ByteOrder.LITTLE_ENDIAN)
        values.forEach { bytes.putDouble(it) }
        return TensorData(DType.FLOAT64, shape, bytes.array())
    }

    private fun faults(metrics: Metrics, peak: Double, vararg limits: Pair<String, Double>) =
        broken(metrics, DType.FLOAT32, mapOf(*limits), peak)

    @Test
    fun metricsOfAnErrorThatIsEasyToWorkOut() {
        // error 0, 0, 0, 1; signal 1 + 4 + 9 + 16 = 30; noise 1; power 1 + 4 + 9 + 9 = 23; product 26
        val reference = tensor(intArrayOf(2, 2), 1.0, 2.0, 3.0, 4.0)
        val metrics = compare(reference, doubleArrayOf(1.0, 2.0, 3.0, 3.0), 8.0)
        assertEquals(1.0, metrics.maxAbs, 0.0)
        assertEquals(14.771212547196624, metrics.sqnrDb, 1e-12)
        assertEquals(24.082399653118497, metrics.psnrDb, 1e-12)
        assertEquals(0.9898030839149452, metrics.cosine, 1e-12)
        assertEquals(0.5, metrics.agreement!!, 0.0)
        assertEquals(0, metrics.unfit)
    }

    @Test
    fun theLimitOfTheErrorGrowsWithThePeak() {
        val metrics = compare(tensor(intArrayOf(1), 1.0), doubleArrayOf(1.5), 10.0)
        assertTrue(faults(metrics, 10.0, "max_abs" to 0.1).isEmpty())
        assertEquals(1, faults(metrics, 1.0, "max_abs" to 0.1).size)
    }

    @Test
    fun equalOutputsAreInfinitelyGood() {
        val metrics = compare(tensor(intArrayOf(2), 0.0, 0.0), doubleArrayOf(0.0, 0.0), 0.0)
        assertEquals(Double.POSITIVE_INFINITY, metrics.sqnrDb, 0.0)
        assertEquals(1.0, metrics.cosine, 0.0)
        assertTrue(faults(metrics, 0.0, "min_sqnr_db" to 20.0, "max_abs" to 0.0).isEmpty())
    }

    @Test
    fun silenceIsNotLikeSound() {
        assertEquals(0.0, compare(tensor(intArrayOf(1), 1.0), doubleArrayOf(0.0), 1.0).cosine, 0.0)
    }

    @Test
    fun notANumberBreaksEveryLimit() {
        for (wrong in listOf(Double.NaN, Double.POSITIVE_INFINITY)) {
            val metrics = compare(tensor(intArrayOf(2), 1.0, 2.0), doubleArrayOf(1.0, wrong), 2.0)
            assertEquals(1, faults(metrics, 2.0).size)
            assertEquals(2, faults(metrics, 2.0, "max_abs" to 1e9).size)
            assertEquals(2, faults(metrics, 2.0, "min_sqnr_db" to -1e9).size)
        }
    }

    @Test
    fun wholeNumbersAgreeOrDoNot() {
        val reference = TensorData(DType.INT8, intArrayOf(4), byteArrayOf(1, 2, 3, 4))
        val metrics = compare(reference, doubleArrayOf(1.0, 2.0, 3.0, 5.0), 4.0)
        assertEquals(0.75, metrics.agreement!!, 0.0)
        assertTrue(broken(metrics, DType.INT8, mapOf("max_abs" to 0.0), 4.0).isEmpty())
        assertEquals(1.0, leastAgreement(DType.INT8, mapOf("max_abs" to 0.0))!!, 0.0)
        assertEquals(0.99, leastAgreement(DType.BOOL, mapOf("min_sqnr_db" to 20.0))!!, 0.0)
        assertEquals(0.5, leastAgreement(DType.INT64, mapOf("min_argmax_agreement" to 0.5))!!, 0.0)
        assertNull(leastAgreement(DType.FLOAT32, mapOf("max_abs" to 0.0)))
    }

    @Test
    fun aRowOfOneNumberHasNoLargest() {
        assertNull(compare(tensor(intArrayOf(2, 1), 1.0, 2.0), doubleArrayOf(1.0, 2.0), 2.0).agreement)
    }
}
