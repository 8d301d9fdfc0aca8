package dev.edgepack.app.core

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.nio.charset.StandardCharsets

/** Text as ids of a vocabulary. */
interface TextEncoder {
    fun encode(text: String): IntArray
}

/** Ids of a vocabulary as text. */
interface TextDecoder {
    fun decode(ids: IntArray): String
}

/** A piece of a vocabulary, whose id is its place. kind: normal, unknown, control, user, unused or byte. */
class Piece(val text: String, val score: Float, val kind: String)

private val KINDS = setOf("normal", "unknown", "control", "user", "unused", "byte")

/** The vocabulary in a file: `score TAB kind TAB piece` in the order of the ids. */
fun readPieces(data: ByteArray): List<Piece> = linesOf(data, "edgepack pieces 1") { line ->
    val (score, kind, text) = line.split('\t', limit = 3)
    require(kind in KINDS && score.toDouble().isFinite()) { "a piece of kind $kind and score $score" }
    Piece(unescape(text), score.toFloat(), kind)
}

/** Replacements in a file: `from TAB to`. */
fun readRules(data: ByteArray): List<Pair<String, String>> = linesOf(data, "edgepack rules 1") { line ->
    val (from, to) = line.split('\t', limit = 2)
    unescape(from) to unescape(to)
}

/** The text of a file, which must be UTF-8. */
internal fun textOf(data: ByteArray): String = try {
    StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(data)).toString()
} catch (error: CharacterCodingException) {
    throw IllegalArgumentException("a file is not UTF-8", error)
}

/** What `read` makes of each line after the first, which must be `first`. */
internal fun <T> linesOf(data: ByteArray, first: String, read: (String) -> T): List<T> {
    val lines = textOf(data).split('\n')
    require(lines.first() == first && lines.last().isEmpty()) { "a vocabulary does not begin with: $first" }
    return lines.subList(1, lines.size - 1).mapIndexed { index, line ->
        try {
            read(line)
        } catch (error: RuntimeException) {
            throw IllegalArgumentException("line ${index + 2} of a vocabulary cannot be read", error)
        }
    }
}

/** A field of a file with its backslashes resolved. */
internal fun unescape(text: String): String {
    if ('\\' !in text) return text
    val out = StringBuilder()
    var place = 0
    while (place < text.length) {
        val next = text[place++]
        out.append(
            if (next != '\\') next else when (text[place++]) {
                '\\' -> '\\'
                't' -> '\t'
                'n' -> '\n'
                'r' -> '\r'
                else -> throw IllegalArgumentException("unknown escape in $text")
            },
        )
    }
    return out.toString()
}

/** The code points of a text, U+FFFD for surrogates that have no partner. */
fun codePointsOf(text: String): IntArray {
    val out = IntArray(text.length)
    var count = 0
    var place = 0
    while (place < text.length) {
        val code = text.codePointAt(place)
        out[count++] = if (code in 0xD800..0xDFFF) 0xFFFD else code
        place += Character.charCount(code)
    }
    return out.copyOf(count)
}

/** The UTF-8 bytes of a code point, each from 0 to 255. */
internal fun utf8Of(code: Int): IntArray = when {
    code < 0x80 -> intArrayOf(code)
    code < 0x800 -> intArrayOf(0xC0 or (code shr 6), 0x80 or (code and 0x3F))
    code < 0x10000 -> intArrayOf(0xE0 or (code shr 12), 0x80 or (code shr 6 and 0x3F), 0x80 or (code and 0x3F))
    else -> intArrayOf(
        0xF0 or (code shr 18), 0x80 or (code shr 12 and 0x3F), 0x80 or (code shr 6 and 0x3F), 0x80 or (code and 0x3F),
    )
}

/**
 * Text of bytes, U+FFFD where they are no UTF-8.
 *
 * One of them stands for the longest beginning of a character that breaks off, as the Unicode standard
 * has it, section 3.9; bytewise: for each byte of it, as in SentencePiece. Java's own decoders differ.
 */
fun decodeUtf8(bytes: IntArray, bytewise: Boolean): String {
    val out = StringBuilder()
    var place = 0
    while (place < bytes.size) {
        val lead = bytes[place]
        val following = when (lead) {
            in 0x00..0x7F -> 0
            in 0xC2..0xDF -> 1
            in 0xE0..0xEF -> 2
            in 0xF0..0xF4 -> 3
            else -> -1
        }
        var code = if (following > 0) lead and (0x3F shr following) else lead
        var length = 1
        while (length <= following && bytes.getOrElse(place + length) { -1 } in trailing(lead, length)) {
            code = code shl 6 or (bytes[place + length] and 0x3F)
            length += 1
        }
        val isWhole = following >= 0 && length == following + 1
        out.appendCodePoint(if (isWhole) code else 0xFFFD)
        place += if (bytewise && !isWhole) 1 else length
    }
    return out.toString()
}

/** What byte may stand `place` behind a leading byte. Source: The Unicode Standard, table 3-7. */
private fun trailing(lead: Int, place: Int): IntRange = when {
    place > 1 -> 0x80..0xBF
    lead == 0xE0 -> 0xA0..0xBF
    lead == 0xED -> 0x80..0x9F
    lead == 0xF0 -> 0x90..0xBF
    lead == 0xF4 -> 0x80..0x8F
    else -> 0x80..0xBF
}

/**
 * Sequences of code points and a number for each, walked character by character.
 *
 * Steps lie in an open hash table: the node and the code point, and the node they lead to.
 */
internal class Trie {
    private var steps = LongArray(1024) { -1 }
    private var nodes = IntArray(1024)
    private var values = IntArray(512) { -1 }
    private var count = 1

    fun add(key: IntArray, value: Int) {
        var node = 0
        for (code in key) {
            val place = place(steps, node, code)
            if (steps[place] < 0) {
                steps[place] = stepOf(node, code)
                nodes[place] = count
                node = count
                count += 1
                if (count == values.size) grow()
            } else {
                node = nodes[place]
            }
        }
        values[node] = value
    }

    /** The node behind `node` and a character, -1 if there is none; 0 is the root. */
    fun step(node: Int, code: Int): Int {
        val place = place(steps, node, code)
        return if (steps[place] < 0) -1 else nodes[place]
    }

    /** The number of the sequence that ends at a node, -1 if none does. */
    fun value(node: Int): Int = values[node]

    /** The number of the longest sequence that begins at a place and its length, (-1, 0) if none does. */
    fun longest(text: IntArray, start: Int): Pair<Int, Int> {
        var node = 0
        var found = -1 to 0
        for (place in start until text.size) {
            node = step(node, text[place])
            if (node < 0) break
            if (value(node) >= 0) found = value(node) to place + 1 - start
        }
        return found
    }

    /** Twice the room; half of the table stays free. */
    private fun grow() {
        val roomier = LongArray(2 * steps.size) { -1 }
        val moved = IntArray(2 * steps.size)
        for (index in steps.indices) {
            if (steps[index] < 0) continue
            val place = place(roomier, (steps[index] shr 21).toInt(), (steps[index] and 0x1FFFFF).toInt())
            roomier[place] = steps[index]
            moved[place] = nodes[index]
        }
        steps = roomier
        nodes = moved
        values = IntArray(2 * values.size) { if (it < values.size) values[it] else -1 }
    }

    /** Where a step lies, or would lie. */
    private fun place(table: LongArray, node: Int, code: Int): Int {
        val wanted = stepOf(node, code)
        var place = (wanted * -0x61C8864680B583EBL ushr 32).toInt() and (table.size - 1)
        while (table[place] >= 0 && table[place] != wanted) place = (place + 1) and (table.size - 1)
        return place
    }

    private fun stepOf(node: Int, code: Int): Long = node.toLong() shl 21 or code.toLong()
}
