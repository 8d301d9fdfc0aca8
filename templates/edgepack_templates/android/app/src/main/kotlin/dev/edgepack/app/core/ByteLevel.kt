package dev.edgepack.app.core

/**
 * GPT-2's pieces of bytes: text from ids, as Whisper gives them.
 *
 * Each byte of a piece is written as one printable character; `pieces` is the content of the vocabulary.
 * Source: openai/gpt-2, encoder.py, bytes_to_unicode.
 */
class ByteLevel(pieces: ByteArray) : Decoder {
    private val contents: List<IntArray> = readPieces(pieces).map { piece ->
        if (piece.kind == "control") IntArray(0) else IntArray(piece.text.length) { byteOf(piece.text[it]) }
    }

    /** Text of ids; control pieces vanish, a broken character becomes one U+FFFD. */
    override fun decode(ids: IntArray): String {
        val bytes = ids.flatMap { id ->
            requireNotNull(contents.getOrNull(id)) { "the vocabulary has no piece of id $id" }.asList()
        }
        return decodeUtf8(bytes.toIntArray(), false)
    }

    private companion object {
        /** Bytes that do not stand for themselves; they are written as U+0100 and up, in their order. */
        val OTHERS = (0..255).filter { it !in 0x21..0x7E && it !in 0xA1..0xAC && it !in 0xAE..0xFF }

        fun byteOf(character: Char): Int {
            val code = character.code
            val byte = if (code < 256) code.takeIf { it !in OTHERS } else OTHERS.getOrNull(code - 256)
            return requireNotNull(byte) { "$character stands for no byte" }
        }
    }
}
