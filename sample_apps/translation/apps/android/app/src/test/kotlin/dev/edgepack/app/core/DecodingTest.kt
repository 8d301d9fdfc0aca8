package dev.edgepack.app.core

import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class DecodingTest {
    private val vectors = Vectors.table("decoding")

    private fun cases(name: String): List<JSONObject> = objectsOf(vectors.getJSONArray(name))

    private fun pairs(array: JSONArray): List<List<Int>> = List(array.length()) { intsOf(array.getJSONArray(it)) }

    /** A made decoder: its state is a number that all tokens so far have stirred. */
    private val step = Step<Int> { state, token, place ->
        val after = state * 31 + token * 17 + place + 1
        val logits = wave(after.toLong() and 0xFFFFFFFFL, 14)
        Stepped(FloatArray(14) { 3 * logits[it] }, after)
    }

    @Test
    fun probabilitiesAreRight() {
        for (case in cases("softmax")) {
            val done = softmax(doublesOf(case.getJSONArray("logits")))
            assertArrayEquals(doublesOf(case.getJSONArray("values")), done, 1e-12)
        }
        val case = vectors.getJSONObject("sigmoid")
        val shares = sigmoid(doublesOf(case.getJSONArray("logits")))
        assertArrayEquals(doublesOf(case.getJSONArray("values")), shares, 1e-12)
        for (case in cases("top")) {
            val done = top(doublesOf(case.getJSONArray("values")), case.getInt("count"))
            assertEquals(intsOf(case.getJSONArray("places")), done.toList())
        }
        val odd = doubleArrayOf(Double.NaN, 2.0, Double.NEGATIVE_INFINITY, 2.0, 3.0)
        assertEquals(listOf(4, 1, 3, 0), top(odd, 4).toList())
    }

    @Test
    fun transcriptsAreThoseOfEdgepack() {
        for (case in cases("ctc")) {
            val tokens = case.getInt("tokens")
            val values = wave(case.getLong("seed"), case.getInt("frames") * tokens)
            val logits = List(case.getInt("frames")) { frame ->
                DoubleArray(tokens) { 4.0 * values[frame * tokens + it] }
            }
            val blank = case.getInt("blank")
            assertEquals(intsOf(case.getJSONArray("greedy")), ctcGreedy(logits, blank).toList())
            val found = ctcBeam(logits, blank, case.getInt("beams"), case.getInt("candidates"))
            val texts = objectsOf(case.getJSONArray("texts"))
            assertEquals(texts.map { intsOf(it.getJSONArray("tokens")) }, found.map { it.tokens })
            texts.zip(found).forEach { (text, one) -> assertEquals(text.getDouble("chance"), one.chance, 1e-9) }
        }
    }

    @Test
    fun generatedTokensAreThoseOfEdgepack() {
        for (case in cases("generated")) {
            val settings = readGeneration(case.getJSONObject("settings"))
            val done = generate(step, case.getInt("seed"), settings)
            assertEquals(case.toString(), intsOf(case.getJSONArray("tokens")), done.toList())
        }
    }

    @Test
    fun logitsThatAreNoNumbersAreRefused() {
        for (logits in listOf(floatArrayOf(Float.NaN, 1f), floatArrayOf(Float.POSITIVE_INFINITY, 1f))) {
            for (beams in 1..2) {
                val settings = Generation(intArrayOf(0), 1, 5, IntArray(0), IntArray(0), beams, 0.6)
                assertThrows(IllegalStateException::class.java) {
                    generate({ _, _, _ -> Stepped(logits, Unit) }, Unit, settings)
                }
            }
        }
    }

    @Test
    fun aStreamCarriesItsState() {
        val stream = CarriedState(listOf(Carried("h", "hn")), mapOf("h" to 0, "unused" to 7))
        for (turn in 0 until 3) {
            val inputs = stream.inputs(mapOf("x" to 1))
            assertEquals(mapOf("x" to 1, "h" to turn), inputs)
            assertEquals(mapOf("y" to 5), stream.take(mapOf("y" to 5, "hn" to turn + 1)))
        }
    }

    @Test
    fun speechIsFoundWhereEdgepackFindsIt() {
        for (case in cases("stretches")) {
            val probabilities = doublesOf(case.getJSONArray("probabilities")).map { it.toFloat() }.toFloatArray()
            val done = stretches(probabilities, case.getLong("samples"), readSpeech(case.getJSONObject("settings")))
            assertEquals(pairs(case.getJSONArray("stretches")), done.map { listOf(it.first.toInt(), it.end.toInt()) })
        }
    }

    @Test
    fun labelsAreReadAndNamed() {
        for (case in cases("labels")) {
            val file = case.getString("file").toByteArray()
            if (case.isNull("labels")) {
                assertThrows(IllegalArgumentException::class.java) { readLabels(file) }
            } else {
                val expected = case.getJSONArray("labels")
                assertEquals(List(expected.length()) { expected.getString(it) }, readLabels(file))
            }
        }
        assertThrows(IllegalArgumentException::class.java) { readLabels(byteArrayOf(97, -1, 10)) }
        val classes = readClasses(JSONObject("""{"labels": "l", "activation": "none", "top": 2}"""))
        val found = classify(doubleArrayOf(0.0, 2.0, 1.0), listOf("a", "b", "c"), classes)
        assertEquals(listOf(Named("b", 2.0), Named("c", 1.0)), found)
        assertThrows(IllegalArgumentException::class.java) { classify(doubleArrayOf(0.0), listOf("a", "b"), classes) }
    }
}
