package dev.edgepack.app.core

import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class TextTest {
    private fun files(case: JSONObject): (String) -> ByteArray =
        { name -> case.getJSONObject("files").getString(name).toByteArray() }

    private fun check(case: JSONObject, encoder: TextEncoder?, decoder: TextDecoder?) {
        if (encoder != null) {
            for (probe in objectsOf(case.getJSONArray("encoded"))) {
                val text = probe.getString("text")
                assertEquals(text, intsOf(probe.getJSONArray("ids")), encoder.encode(text).toList())
            }
        }
        if (decoder != null) {
            for (probe in objectsOf(case.getJSONArray("decoded"))) {
                val ids = intsOf(probe.getJSONArray("ids"))
                assertEquals("$ids", probe.getString("text"), decoder.decode(ids.toIntArray()))
            }
        }
    }

    @Test
    fun unigramIdsAndTextsAreThoseOfSentencePiece() {
        for (case in objectsOf(Vectors.list("unigram"))) {
            val settings = case.getJSONObject("settings")
            check(case, readEncoder(settings, files(case)), readDecoder(settings, files(case)))
        }
    }

    @Test
    fun wordPiecesAreThoseOfBert() {
        for (case in objectsOf(Vectors.list("wordpiece"))) {
            check(case, readEncoder(case.getJSONObject("settings"), files(case)), null)
        }
    }

    @Test
    fun bytesBecomeTextAsPythonDecodesThem() {
        val case = Vectors.table("bytelevel")
        check(case, null, readDecoder(case.getJSONObject("settings"), files(case)))
    }

    @Test
    fun surrogatesWithoutPartnersAreReplaced() {
        assertEquals(listOf(0x61, 0xFFFD, 0x1F600, 0xFFFD), codePointsOf("a\uD800\uD83D\uDE00\uDC00").toList())
    }

    @Test
    fun piecesOfAnyCharactersAreRead() {
        val file = "edgepack pieces 1\n-1.5\tnormal\t\\t\\n\\r\\\\\\\\n\n0.0\tuser\t\u2028\u0085 \n1e-3\tbyte\t\n"
        val pieces = readPieces(file.toByteArray())
        assertEquals(listOf("\t\n\r\\\\n", "\u2028\u0085 ", ""), pieces.map { it.text })
        assertEquals(listOf(-1.5f, 0f, 1e-3f), pieces.map { it.score })
    }

    @Test
    fun brokenFilesAreRefused() {
        val head = "edgepack pieces 1\n"
        val broken = listOf(
            "", "edgepack pieces 2\n", "${head}0.0\tnormal\ta", "$head\n", "${head}x\tnormal\ta\n",
            "${head}0\tqueer\ta\n", "${head}0\tnormal\ta\\x\n", "${head}0\tnormal\ta\\\n", "${head}nan\tnormal\ta\n",
        )
        for (file in broken) {
            assertThrows(file, IllegalArgumentException::class.java) { readPieces(file.toByteArray()) }
        }
        val foreign = head.toByteArray() + byteArrayOf('0'.code.toByte(), 9, -1, 10)
        assertThrows(IllegalArgumentException::class.java) { readPieces(foreign) }
        assertThrows(IllegalArgumentException::class.java) { readRules("edgepack rules 1\nno tab\n".toByteArray()) }
        for (line in listOf("fold", "fold x", "drop 1", "apart 2 1", "other 1 2")) {
            val file = "edgepack characters 1\n$line\n".toByteArray()
            assertThrows(line, IllegalArgumentException::class.java) { Characters(file) }
        }
    }

    @Test
    fun vocabulariesThatLackWhatIsNeededAreRefused() {
        val case = Vectors.list("unigram").getJSONObject(0)
        val settings = JSONObject(case.getJSONObject("settings").toString()).put("byte_fallback", true)
        assertThrows(IllegalArgumentException::class.java) { readEncoder(settings, files(case)) }
        val decoder = readDecoder(case.getJSONObject("settings"), files(case))
        for (id in listOf(-1, 1_000_000)) {
            assertThrows(IllegalArgumentException::class.java) { decoder.decode(intArrayOf(id)) }
        }
        val foreign = "edgepack pieces 1\n0\tnormal\t日\n".toByteArray()
        assertThrows(IllegalArgumentException::class.java) { ByteLevel(foreign) }
        val level = JSONObject("{\"type\": \"byte-level\"}")
        assertThrows(IllegalArgumentException::class.java) { readEncoder(level, files(case)) }
    }

    @Test
    fun longTextsKeepTheirPrecision() {
        val case = objectsOf(Vectors.list("unigram")).first { it.getString("name") == "plain" }
        val encoder = readEncoder(case.getJSONObject("settings"), files(case))
        val unknown = "\uE000".repeat(9000)
        val tail = encoder.encode("$unknown door is open").toList()
        assertTrue(tail.size in 3..12)
        assertEquals(encoder.encode("\uE000 door is open").toList(), tail)
    }
}
