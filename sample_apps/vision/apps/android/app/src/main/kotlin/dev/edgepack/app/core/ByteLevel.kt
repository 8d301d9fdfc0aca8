package dev.edgepack.app.core

/**
 * GPT-2's pieces of bytes: text from ids, as Whisper gives them.
 *
 * Each byte of a piece is written as one printable character; `pieces` is the content of the vocabulary.
 * Source: openai/gpt-2, encoder.py, bytes_to_unicode.
 */
class ByteLevel(pieces: ByteArray) : TextDecoder {
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
        /** Bytes that do not stand for themselves are written as U+0100 and up, in their order. */
        val BYTES: IntArray = IntArray(256) { if (it in 0x21..0x7E || it in 0xA1..0xAC || it in 0xAE..0xFF) it else -1 }
            .let { own -> own + (0..255).filter { own[it] < 0 } }

        fun byteOf(character: Char): Int {
            val byte = BYTES.getOrElse(character.code) { -1 }
            require(byte >= 0) { "$character stands for no byte" }
            return byte
        }
    }
}
