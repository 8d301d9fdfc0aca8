package dev.edgepack.app.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class SelfTestTest {
    private val manifestText = """
        {
          "task": {"kind": "generic"},
          "runtime": {"name": "LiteRT", "version": "2"},
          "models": [{
            "name": "it's \"q\" ${'$'}x 😀",
            "variant": "litert-int8",
            "golden": "golden/model",
            "artifact": {
              "file": "model.tflite",
              "sha256": "00",
              "signature": {
                "inputs": [{"name": "größe", "dtype": "float32", "shape": ["batch", 2], "quantization": null}],
                "outputs": [
                  {"name": "y", "dtype": "int8", "shape": [1, 2], "peak": 2,
                   "quantization": {"scale": 0.5, "zero_point": -1}}
                ]
              }
            },
            "limits": {"min_sqnr_db": 20, "min_argmax_agreement": 0.95}
          }]
        }
    """
    private val info get() = readManifest(manifestText).models.single()
    private val goldenText = """
        {"cases": [{
          "inputs": [{"file": "in", "dtype": "float32", "shape": [1, 2]}],
          "outputs": [{"file": "out", "dtype": "float32", "shape": [1, 2]}]
        }]}
    """
    private val files = mapOf(
        "in" to byteArrayOf(0, 0, 0x80.toByte(), 0x3F, 0, 0, 0, 0x40),
        "out" to byteArrayOf(0, 0, 0x80.toByte(), 0x3F, 0, 0, 0, 0x40),
    )
    private val golden = readGolden(goldenText) { files.getValue(it).inputStream() }

    /** Stored numbers of a quantized output: real = (stored + 1) / 2. */
    private class Fake(private vararg val outputs: Byte) : Model {
        var calls = 0

        override fun run(inputs: List<TensorData>): Outcome {
            calls += 1
            return Outcome(listOf(TensorData(DType.INT8, intArrayOf(1, outputs.size), outputs)), 2_000_000)
        }

        override fun close() = Unit
    }

    @Test
    fun theManifestIsRead() {
        val manifest = readManifest(manifestText)
        assertEquals("LiteRT 2", manifest.runtime)
        assertEquals("generic", manifest.task.getString("kind"))
        assertEquals("it's \"q\" \$x 😀", info.name)
        assertEquals("größe float32[batch, 2]", info.inputs.single().toString())
        assertArrayEquals(intArrayOf(1, 2), info.inputs.single().sizes)
        val stored = TensorData(DType.INT8, intArrayOf(1), byteArrayOf(3))
        assertEquals(2.0, info.outputs.single().real(stored).single(), 0.0)
        assertEquals(setOf("min_sqnr_db", "min_argmax_agreement"), info.limits.keys)
    }

    @Test
    fun aGoodModelPassesAndIsTimed() {
        val model = Fake(1, 3)
        val report = selfTest(info, golden, model)
        assertEquals(report.lines.joinToString("\n"), Verdict.PASS, report.verdict)
        assertEquals(11, model.calls)
        assertTrue(report.lines.last().startsWith("time     2 ms median of 10 runs"))
    }

    @Test
    fun aBrokenLimitFailsAndIsNamed() {
        val report = selfTest(info, golden, Fake(1, 2))
        assertEquals(Verdict.FAIL, report.verdict)
        assertTrue(report.lines.any { it.contains("SQNR 13.0103, limit 20") })
    }

    @Test
    fun disagreementAboutTheLargestFails() {
        val report = selfTest(info, golden, Fake(3, 2))
        assertEquals(Verdict.FAIL, report.verdict)
        assertTrue(report.lines.any { it.contains("y: agreement 0, limit 0.95") })
    }

    @Test
    fun withoutCasesNothingIsCheckedAndThatIsNoPass() {
        val report = selfTest(info, emptyList(), Fake())
        assertEquals(Verdict.NOT_RUN, report.verdict)
    }

    @Test
    fun theWorstVerdictOfSeveralModelsCounts() {
        val pass = Report("one", Verdict.PASS, listOf("a"))
        val unrun = Report("two", Verdict.NOT_RUN, listOf("b"))
        val fail = Report("three", Verdict.FAIL, listOf("c"))
        assertEquals(Verdict.NOT_RUN, joined("app", listOf(pass, unrun)).verdict)
        assertEquals(Verdict.FAIL, joined("app", listOf(fail, unrun, pass)).verdict)
        assertEquals(Verdict.NOT_RUN, joined("app", emptyList()).verdict)
        assertEquals(listOf("one: PASS", "a", "", "two: NOT_RUN", "b"), joined("app", listOf(pass, unrun)).lines)
        assertEquals(listOf("a"), joined("app", listOf(pass)).lines)
    }

    @Test
    fun numbersAreShownTheSameInEveryLanguage() {
        val expected = mapOf(
            0.0 to "0", 1.0 to "1", -2.5 to "-2.5", 123456.0 to "123456", 0.9999997 to "0.9999997",
            999999.96 to "1000000", 100000.04 to "100000", 120000.0 to "120000",
            1e-5 to "1.000e-05", -3.2e7 to "-3.200e+07",
            Double.NaN to "nan", Double.POSITIVE_INFINITY to "inf", Double.NEGATIVE_INFINITY to "-inf",
        )
        for ((value, text) in expected) assertEquals(text, shown(value))
    }
}
