package dev.edgepack.app.core

/** Settings of BERT's word pieces; the files lie beside the manifest. */
class WordPieceSettings(
    val pieces: String,
    val characters: String,
    val unknown: String,
    val continuing: String,
    val longestWord: Int,
    val before: IntArray,
    val after: IntArray,
)

/**
 * BERT's word pieces: characters folded and split by a table, words cut from the front.
 *
 * `read` gives a file by its name. Source: google-research/bert, tokenization.py.
 */
class WordPiece(private val settings: WordPieceSettings, read: (String) -> ByteArray) : TextEncoder {
    private val characters = Characters(read(settings.characters))
    private val first = Trie()
    private val next = Trie()
    private val unknown: Int

    init {
        val pieces = readPieces(read(settings.pieces))
        unknown = pieces.indexOfLast { it.text == settings.unknown }
        require(unknown >= 0) { "${settings.pieces} has no ${settings.unknown}" }
        pieces.forEachIndexed { id, piece ->
            first.add(codePointsOf(piece.text), id)
            if (piece.text.startsWith(settings.continuing)) {
                next.add(codePointsOf(piece.text.substring(settings.continuing.length)), id)
            }
        }
    }

    override fun encode(text: String): IntArray {
        val ids = characters.words(codePointsOf(text)).flatMap { piecesOf(it) }
        return settings.before + ids.toIntArray() + settings.after
    }

    /** The longest piece that begins the word, and so on; unknown as a whole if any part is. */
    private fun piecesOf(word: IntArray): List<Int> {
        val ids = mutableListOf<Int>()
        var start = 0
        while (start < word.size) {
            val (id, length) = (if (start == 0) first else next).longest(word, start)
            if (id < 0 || word.size > settings.longestWord) return listOf(unknown)
            ids += id
            start += length
        }
        return ids
    }
}

private const val HANGUL = 0xAC00
private const val HANGUL_END = 0xD7A4
private const val VOWELS = 21
private const val TAILS = 28

/** How each character is read, by a file; those that it does not name stand for themselves. */
internal class Characters(file: ByteArray) {
    private val drop = Ranges()
    private val space = Ranges()
    private val apart = Ranges()
    private val fold = HashMap<Int, IntArray>()
    private var jamo = false

    init {
        linesOf(file, "edgepack characters 1") { line ->
            val fields = line.split(' ')
            val numbers = fields.drop(1).map { it.toInt(16) }
            when (fields[0]) {
                "fold" -> fold[numbers[0]] = numbers.drop(1).toIntArray()
                "drop" -> drop.add(numbers[0], numbers[1])
                "space" -> space.add(numbers[0], numbers[1])
                "apart" -> apart.add(numbers[0], numbers[1])
                "jamo" -> jamo = true
                else -> throw IllegalArgumentException("unknown line $line")
            }
        }
    }

    /** Folded words of a text, and what stands apart alone. */
    fun words(text: IntArray): List<IntArray> {
        val words = mutableListOf<IntArray>()
        val word = mutableListOf<Int>()
        val finish = {
            if (word.isNotEmpty()) words += word.toIntArray()
            word.clear()
        }
        for (code in text) {
            if (code in drop) continue
            for (part in if (code in space) SPACE else folded(code)) {
                val isApart = part in apart
                if (isApart || part == ' '.code) finish()
                if (isApart) words += intArrayOf(part) else if (part != ' '.code) word += part
            }
        }
        finish()
        return words
    }

    private fun folded(code: Int): IntArray {
        if (!jamo || code < HANGUL || code >= HANGUL_END) return fold[code] ?: intArrayOf(code)
        val place = code - HANGUL
        val lead = 0x1100 + place / TAILS / VOWELS
        val vowel = 0x1161 + place / TAILS % VOWELS
        val tail = place % TAILS
        return if (tail == 0) intArrayOf(lead, vowel) else intArrayOf(lead, vowel, 0x11A7 + tail)
    }

    /** Runs of numbers in rising order. */
    private class Ranges {
        private val first = mutableListOf<Int>()
        private val last = mutableListOf<Int>()

        fun add(from: Int, to: Int) {
            require(from <= to && (last.isEmpty() || last.last() < from)) { "ranges do not rise" }
            first += from
            last += to
        }

        operator fun contains(number: Int): Boolean {
            val found = first.binarySearch(number)
            val run = if (found >= 0) found else -found - 2
            return run >= 0 && number <= last[run]
        }
    }

    private companion object {
        val SPACE = intArrayOf(' '.code)
    }
}
