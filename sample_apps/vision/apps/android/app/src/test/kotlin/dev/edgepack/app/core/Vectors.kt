package dev.edgepack.app.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import java.util.Base64
import kotlin.math.abs
import kotlin.math.max
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue

/** The numbers that this core, the one in Swift and edgepack itself must all give. */
object Vectors {
    fun table(name: String): JSONObject = JSONObject(text(name))

    fun list(name: String): JSONArray = JSONArray(text(name))

    private fun text(name: String): String {
        val found = Vectors::class.java.getResourceAsStream("/contract/$name.json")
            ?: File("src/test/resources/contract/$name.json").inputStream()
        return found.use { it.readBytes().toString(Charsets.UTF_8) }
    }
}

/** Bytes that a seed stands for: the highest of each number of a linear congruential generator. */
fun noise(seed: Long, count: Int): ByteArray {
    var state = (seed * 2654435761L).toInt()
    return ByteArray(count) {
        state = state * 1664525 + 1013904223
        (state ushr 24).toByte()
    }
}

/** Sound that a seed stands for. */
fun wave(seed: Long, count: Int): FloatArray =
    noise(seed, count).let { bytes -> FloatArray(count) { ((bytes[it].toInt() and 0xFF) - 128) / 128f } }

fun digestOf(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it.toInt() and 0xFF) }

fun digestOf(values: List<FloatArray>): String = digestOf(
    stored(values.flatMap { it.asList() }.map { it.toDouble() }.toDoubleArray(), DType.FLOAT32),
)

fun bytesOf(packed: String): ByteArray = Base64.getDecoder().decode(packed)

/** Little-endian floats in base64. */
fun unpacked(packed: String): FloatArray {
    val bytes = ByteBuffer.wrap(bytesOf(packed)).order(ByteOrder.LITTLE_ENDIAN)
    return FloatArray(bytes.remaining() / 4) { bytes.getFloat() }
}

/** Equal to 1e-5 of each number, and of 0.001 where it is smaller. */
fun assertClose(name: String, expected: FloatArray, found: FloatArray) {
    assertEquals(name, expected.size, found.size)
    for (place in expected.indices) {
        val wanted = expected[place].toDouble()
        val isClose = abs(wanted - found[place]) <= 1e-5 * max(1e-3, abs(wanted))
        assertTrue("$name[$place]: ${found[place]}, not $wanted", isClose)
    }
}

fun objectsOf(array: JSONArray): List<JSONObject> = List(array.length()) { array.getJSONObject(it) }

fun intsOf(array: JSONArray): List<Int> = List(array.length()) { array.getInt(it) }

fun doublesOf(array: JSONArray): DoubleArray = DoubleArray(array.length()) { array.getDouble(it) }
