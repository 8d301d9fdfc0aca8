package dev.edgepack.app.core

/** Settings of SentencePiece's unigram model; the files lie beside the manifest. */
class UnigramSettings(
    val pieces: String,
    val rules: String,
    val addDummyPrefix: Boolean,
    val removeExtraWhitespaces: Boolean,
    val byteFallback: Boolean,
    val unknownSurface: String,
    val before: IntArray,
    val after: IntArray,
)

private const val SPACE = '▁'
private const val UNKNOWN_PENALTY = 10f
private const val FARTHEST = 100_000f

/**
 * SentencePiece's unigram model: the best split of a text by Viterbi, and text from ids.
 *
 * Scores are added as 32-bit floats in SentencePiece's own order, so that ties fall as there.
 * `read` gives a file by its name. Source: sentencepiece 0.2.3, unigram_model.cc and normalizer.cc.
 */
class Unigram(private val settings: UnigramSettings, read: (String) -> ByteArray) : TextEncoder, TextDecoder {
    private val pieces = readPieces(read(settings.pieces))
    private val rules = if (settings.rules.isEmpty()) emptyList() else readRules(read(settings.rules))
    private val scores = FloatArray(pieces.size) { score(pieces[it]) }
    private val known = trie(pieces.map { it.text }) { pieces[it].kind == "normal" || pieces[it].kind == "user" }
    private val users = trie(pieces.map { it.text }) { pieces[it].kind == "user" }
    private val replaced = trie(rules.map { it.first }) { true }
    private val replacements = rules.map { codePointsOf(it.second) }
    private val unknown = pieces.indexOfFirst { it.kind == "unknown" }
    private val byteIds = IntArray(256) { -1 }
    private val unknownScore: Float

    init {
        pieces.forEachIndexed { id, piece -> if (piece.kind == "byte") byteIds[byteOf(piece)] = id }
        val normal = pieces.filter { it.kind == "normal" }
        require(unknown >= 0 && normal.isNotEmpty() && (!settings.byteFallback || byteIds.all { it >= 0 })) {
            "${settings.pieces} lacks pieces that the tokenizer needs"
        }
        unknownScore = normal.minOf { it.score } - UNKNOWN_PENALTY
    }

    override fun encode(text: String): IntArray {
        val normal = normalize(codePointsOf(text))
        val ids = mutableListOf<Int>()
        var wasUnknown = false
        for ((start, end, id) in bestSplit(normal)) {
            val isUnknown = id == unknown
            if (isUnknown && settings.byteFallback) {
                for (place in start until end) utf8Of(normal[place]).forEach { ids += byteIds[it] }
            } else if (!isUnknown || !wasUnknown) {
                ids += id
            }
            wasUnknown = isUnknown
        }
        return settings.before + ids.toIntArray() + settings.after
    }

    /** The text as the pieces spell it: rules applied, spaces written ▁, one in front, none left over. */
    internal fun normalize(text: IntArray): IntArray {
        val remove = settings.removeExtraWhitespaces
        val out = mutableListOf<Int>()
        var afterSpace = remove
        var start = 0
        while (start < text.size) {
            val (part, length) = nextPart(text, start)
            start += length
            val first = if (afterSpace) part.indexOfFirst { it != ' '.code } else 0
            if (first < 0 || part.isEmpty()) continue
            for (place in first until part.size) out += if (part[place] == ' '.code) SPACE.code else part[place]
            afterSpace = remove && part.last() == ' '.code
        }
        val prefix = settings.addDummyPrefix && (out.isNotEmpty() || (text.isNotEmpty() && !remove))
        if (prefix) out.add(0, SPACE.code)
        while (remove && out.isNotEmpty() && out.last() == SPACE.code) out.removeAt(out.size - 1)
        return out.toIntArray()
    }

    /** What stands for the beginning of the rest, and how many characters it replaces. */
    private fun nextPart(text: IntArray, start: Int): Pair<IntArray, Int> {
        val (user, length) = users.longest(text, start)
        if (user >= 0) return text.copyOfRange(start, start + length) to length
        val (rule, replacedLength) = replaced.longest(text, start)
        if (rule >= 0) return replacements[rule] to replacedLength
        return intArrayOf(text[start]) to 1
    }

    /** (start, end, id) of the pieces whose scores add up to most; the first found wins a tie. */
    private fun bestSplit(text: IntArray): List<Triple<Int, Int, Int>> {
        val best = FloatArray(text.size + 1)
        val begin = IntArray(text.size + 1) { -1 }
        val id = IntArray(text.size + 1) { -1 }
        val offer = { start: Int, end: Int, candidate: Int, score: Float ->
            val total = score + best[start]
            if (begin[end] < 0 || total > best[end]) {
                best[end] = total
                begin[end] = start
                id[end] = candidate
            }
        }
        for (start in text.indices) {
            if (Math.abs(best[start]) > FARTHEST) moveBack(best, begin, start)
            var single = false
            var node = 0
            for (end in start + 1..text.size) {
                node = known.step(node, text[end - 1])
                if (node < 0) break
                val candidate = known.value(node)
                if (candidate < 0) continue
                offer(start, end, candidate, scores[candidate])
                single = single || end == start + 1
            }
            if (!single) offer(start, start + 1, unknown, unknownScore)
        }
        val split = mutableListOf<Triple<Int, Int, Int>>()
        var end = text.size
        while (end > 0) {
            split += Triple(begin[end], end, id[end])
            end = begin[end]
        }
        return split.asReversed()
    }

    /** Take the sum at `start` from it and all those ahead, before 32-bit floats get coarse. */
    private fun moveBack(best: FloatArray, begin: IntArray, start: Int) {
        val offset = best[start]
        for (place in start until best.size) if (place == start || begin[place] >= 0) best[place] -= offset
    }

    /** Text of ids; control pieces vanish, broken UTF-8 becomes U+FFFD byte by byte. */
    override fun decode(ids: IntArray): String {
        val out = StringBuilder()
        val pending = mutableListOf<Int>()
        var atStart = true
        var consumed = false
        for (id in ids) {
            val piece = requireNotNull(pieces.getOrNull(id)) { "the vocabulary has no piece of id $id" }
            if (piece.kind == "byte") {
                pending += byteOf(piece)
                continue
            }
            out.append(decodeUtf8(pending.toIntArray(), true))
            pending.clear()
            atStart = atStart && !consumed && out.isEmpty()
            consumed = append(piece, atStart, out)
        }
        return out.append(decodeUtf8(pending.toIntArray(), true)).toString()
    }

    /** Add what a piece shows; whether it was a text's one dummy space. */
    private fun append(piece: Piece, atStart: Boolean, out: StringBuilder): Boolean {
        if (piece.kind == "control") return false
        if (piece.kind == "unknown") {
            out.append(settings.unknownSurface)
            return false
        }
        val strip = atStart && (settings.addDummyPrefix || settings.removeExtraWhitespaces)
        val stripped = strip && piece.text.startsWith(SPACE)
        out.append((if (stripped) piece.text.substring(1) else piece.text).replace(SPACE, ' '))
        return stripped && !settings.removeExtraWhitespaces
    }

    private companion object {
        fun trie(texts: List<String>, wanted: (Int) -> Boolean): Trie {
            val trie = Trie()
            texts.forEachIndexed { index, text -> if (wanted(index)) trie.add(codePointsOf(text), index) }
            return trie
        }

        /** The score of a piece; a user's piece has one by its bytes that no split of it reaches. */
        fun score(piece: Piece): Float = when (piece.kind) {
            "user" -> (0.1 * (codePointsOf(piece.text).sumOf { utf8Of(it).size } - 1)).toFloat()
            else -> piece.score
        }

        fun byteOf(piece: Piece): Int = piece.text.substring(1, piece.text.length - 1).removePrefix("0x").toInt(16)
    }
}
