package dev.edgepack.app.core

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class ImagesTest {
    private val vectors = Vectors.table("images")

    private fun picture(case: JSONObject): Pixels {
        val (width, height, channels) = intsOf(case.getJSONArray("from"))
        return Pixels(width, height, channels, noise(case.getLong("seed"), width * height * channels))
    }

    @Test
    fun resizedPixelsAreThoseOfPillow() {
        for (case in objectsOf(vectors.getJSONArray("resizes"))) {
            val (width, height) = intsOf(case.getJSONArray("to"))
            val done = resize(picture(case), width, height, Interpolation.of(case.getString("interpolation")))
            assertEquals(case.toString(), case.getString("sha256"), digestOf(done.bytes))
        }
    }

    @Test
    fun picturesAreTurnedUpright() {
        val given = Pixels(5 - 1, 3, 3, noise(5, 36))
        for (case in objectsOf(vectors.getJSONArray("upright"))) {
            val done = upright(given, case.getInt("orientation"))
            assertEquals(case.toString(), case.getString("sha256"), digestOf(done.bytes))
        }
    }

    @Test
    fun inputsArePreparedToTheBit() {
        for (case in objectsOf(vectors.getJSONArray("prepared"))) {
            val done = prepare(picture(case), readImageInput(case.getJSONObject("settings")))
            assertEquals(intsOf(case.getJSONArray("shape")), done.shape.toList())
            assertArrayEquals(doublesOf(case.getJSONArray("first")), done.numbers().copyOf(4), 0.0)
            assertEquals(case.toString(), case.getString("sha256"), digestOf(stored(done.numbers(), done.dtype)))
        }
    }

    @Test
    fun colorsOfAndroidBecomePixels() {
        val pixels = Pixels.ofColors(2, 2) { y, row ->
            for (x in row.indices) row[x] = 0xFF102030.toInt() + y * 2 + x
        }
        assertArrayEquals(byteArrayOf(16, 32, 48, 16, 32, 49, 16, 32, 50, 16, 32, 51), pixels.bytes)
    }

    @Test
    fun halvesAreRoundedToEven() {
        val cases = mapOf(
            1.0 to 0x3C00, -2.0 to 0xC000, 65504.0 to 0x7BFF, 65519.9 to 0x7BFF, 65520.0 to 0x7C00,
            1 + 1 / 2048.0 to 0x3C00, 1 + 3 / 2048.0 to 0x3C02, 5.9604644775390625e-8 to 1, 2.9e-8 to 0,
            Double.NaN to 0x7E00, -0.0 to 0x8000, Double.NEGATIVE_INFINITY to 0xFC00, 2047.9999 to 0x6800,
        )
        for ((value, bits) in cases) assertEquals("$value", bits, halfOf(value).toInt() and 0xFFFF)
        for (bits in -32768..32767) {
            val value = halfToDouble(bits.toShort())
            if (!value.isNaN()) assertEquals(bits, halfOf(value).toInt())
        }
    }

    @Test
    fun whatDoesNotFitIsRefused() {
        assertThrows(IllegalArgumentException::class.java) { Pixels(2, 2, 3, ByteArray(11)) }
        assertThrows(IllegalArgumentException::class.java) { Pixels(2, 2, 2, ByteArray(8)) }
        val settings = vectors.getJSONArray("prepared").getJSONObject(0).getJSONObject("settings")
        for ((key, value) in mapOf("mean" to "[0, 1]", "std" to "[0]", "color" to "red", "dtype" to "float8")) {
            val wrong = JSONObject(settings.toString()).put(key, JSONObject("{\"x\": $value}").get("x"))
            assertThrows(IllegalArgumentException::class.java) { readImageInput(wrong) }
        }
    }
}
