package dev.edgepack.app.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Sound of a file. rate: in Hz. samples: those of all channels of a moment, one moment after the other. */
class Recording(val rate: Int, val channels: Int, val samples: ShortArray)

private const val PCM = 1
private const val EXTENSIBLE = 0xFFFE
private const val HEAD = 44
private const val FORMAT = 16
private const val SUBFORMAT = 24
private const val BITS = 16

/** A WAVE file of samples, one channel. */
fun writeWav(samples: ShortArray, rate: Int): ByteArray {
    val size = 2 * samples.size
    val out = ByteBuffer.allocate(HEAD + size).order(ByteOrder.LITTLE_ENDIAN)
    out.put("RIFF".toByteArray()).putInt(HEAD - 8 + size).put("WAVE".toByteArray())
    out.put("fmt ".toByteArray()).putInt(FORMAT).putShort(PCM.toShort()).putShort(1)
    out.putInt(rate).putInt(2 * rate).putShort(2).putShort(BITS.toShort())
    out.put("data".toByteArray()).putInt(size)
    out.asShortBuffer().put(samples)
    return out.array()
}

/**
 * The recording in a WAVE file of 16-bit PCM. Throws for any other.
 *
 * A file that breaks off is read as far as it goes; chunks that are neither format nor data are skipped.
 */
fun readWav(data: ByteArray): Recording {
    val bytes = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
    require(data.size >= 12 && name(data, 0) == "RIFF" && name(data, 8) == "WAVE") { "this is no WAVE file" }
    var format: Pair<Int, Int>? = null
    var place = 12L
    while (place + 8 <= data.size) {
        val start = place.toInt() + 8
        val size = bytes.getInt(start - 4).toLong() and 0xFFFFFFFFL
        val length = minOf(size, (data.size - start).toLong()).toInt()
        when (name(data, start - 8)) {
            "fmt " -> format = formatOf(bytes, start, length)
            "data" -> {
                val (rate, channels) = requireNotNull(format) { "samples come before their format" }
                val count = length / (2 * channels) * channels
                return Recording(rate, channels, ShortArray(count) { bytes.getShort(start + 2 * it) })
            }
        }
        place += 8 + size + size % 2
    }
    throw IllegalArgumentException("the file holds no samples")
}

private fun name(data: ByteArray, start: Int): String = String(data, start, 4, Charsets.ISO_8859_1)

/** Rate and number of channels. */
private fun formatOf(bytes: ByteBuffer, start: Int, length: Int): Pair<Int, Int> {
    require(length >= FORMAT) { "the format of the samples breaks off" }
    val number = { place: Int -> bytes.getShort(start + place).toInt() and 0xFFFF }
    val channels = number(2)
    val rate = bytes.getInt(start + 4)
    val bits = number(14)
    val tag = if (number(0) == EXTENSIBLE && length >= SUBFORMAT + 2) number(SUBFORMAT) else number(0)
    require(tag == PCM && bits == BITS && channels > 0 && rate > 0) {
        "format $tag with $bits bits, $channels channels at $rate Hz"
    }
    return rate to channels
}
