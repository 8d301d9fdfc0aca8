package dev.edgepack.app.core

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.ln1p
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow

/** Probabilities that add up to 1. */
fun softmax(logits: DoubleArray): DoubleArray {
    val highest = logits.max()
    val powers = DoubleArray(logits.size) { exp(logits[it] - highest) }
    val total = powers.sum()
    return DoubleArray(logits.size) { powers[it] / total }
}

/** Logarithms of the probabilities. */
fun logSoftmax(logits: DoubleArray): DoubleArray {
    val highest = logits.max()
    val total = ln(logits.sumOf { exp(it - highest) })
    return DoubleArray(logits.size) { logits[it] - highest - total }
}

/** Each number's own probability, 1 / (1 + exp(-x)). */
fun sigmoid(logits: DoubleArray): DoubleArray = DoubleArray(logits.size) {
    val power = exp(-abs(logits[it]))
    (if (logits[it] >= 0) 1.0 else power) / (1.0 + power)
}

/**
 * Places of the `count` largest values, the largest first.
 *
 * Of equal values the one with the lower index comes first; those that are no numbers come last.
 */
fun top(values: DoubleArray, count: Int): IntArray {
    val wanted = min(count, values.size)
    val found = IntArray(wanted)
    var filled = 0
    for (place in values.indices) {
        var at = filled
        while (at > 0 && isLarger(values[place], values[found[at - 1]])) at -= 1
        if (at >= wanted) continue
        if (filled < wanted) filled += 1
        for (next in filled - 1 downTo at + 1) found[next] = found[next - 1]
        found[at] = place
    }
    return found
}

private fun isLarger(one: Double, other: Double): Boolean = when {
    other.isNaN() -> one > Double.NEGATIVE_INFINITY
    else -> one > other
}

/** Items by falling value; those of equal value, 0 and -0 too, stay in their order. */
private fun <T> ranked(items: List<T>, value: (T) -> Double): List<T> =
    items.map { it to value(it) }
        .sortedWith { one, other -> if (one.second > other.second) -1 else if (one.second < other.second) 1 else 0 }
        .map { it.first }

// --- tokens of frames ---------------------------------------------------------------------------

/** Tokens of frames: the likeliest of each, repetitions and blanks left out. Source: Graves, ICML 2006. */
fun ctcGreedy(logits: List<DoubleArray>, blank: Int): IntArray {
    val best = logits.map { top(it, 1)[0] }
    return best.filterIndexed { place, token -> token != blank && (place == 0 || token != best[place - 1]) }
        .toIntArray()
}

/** A text that frames may stand for, and the logarithm of its probability. */
class Transcript(val tokens: List<Int>, val chance: Double)

private class Endings(var byBlank: Double, var byToken: Double) {
    val chance: Double get() = logSum(byBlank, byToken)
}

/**
 * The likeliest texts of frames, the best first.
 *
 * beams: texts that are followed. candidates: likeliest tokens of each frame that are tried.
 * Source: Hannun et al., arXiv:1408.2873, algorithm 1, without a language model.
 */
fun ctcBeam(logits: List<DoubleArray>, blank: Int, beams: Int, candidates: Int): List<Transcript> {
    var texts = listOf(emptyList<Int>() to Endings(0.0, Double.NEGATIVE_INFINITY))
    for (frame in logits) {
        val chances = logSoftmax(frame)
        val grown = LinkedHashMap<List<Int>, Endings>()
        val add = { text: List<Int>, byBlank: Double, byToken: Double ->
            val endings = grown.getOrPut(text) { Endings(Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY) }
            endings.byBlank = logSum(endings.byBlank, byBlank)
            endings.byToken = logSum(endings.byToken, byToken)
        }
        val none = Double.NEGATIVE_INFINITY
        for ((text, endings) in texts) {
            for (token in top(chances, candidates)) {
                val chance = chances[token]
                if (token == blank) {
                    add(text, endings.chance + chance, none)
                } else if (text.lastOrNull() == token) {
                    add(text, none, endings.byToken + chance)
                    add(text + token, none, endings.byBlank + chance)
                } else {
                    add(text + token, none, endings.chance + chance)
                }
            }
        }
        texts = ranked(grown.toList().filter { it.second.chance > none }) { it.second.chance }.take(beams)
    }
    return texts.map { Transcript(it.first, it.second.chance) }
}

/** log(exp(one) + exp(other)). */
private fun logSum(one: Double, other: Double): Double {
    val low = min(one, other)
    val high = max(one, other)
    return if (low == Double.NEGATIVE_INFINITY) high else high + ln1p(exp(low - high))
}

// --- tokens one by one --------------------------------------------------------------------------

/**
 * How a decoder's tokens are chosen, one after the other.
 *
 * start: tokens that are given. end: token that ends a text. longest: most tokens with those of the
 * start. suppressed: tokens that are never chosen; suppressedFirst: nor as the first one. beams:
 * hypotheses followed at once; 1 takes the likeliest token each time. lengthPenalty: a hypothesis of n
 * tokens is compared by its log probability over ((5 + n) / 6) ** lengthPenalty, arXiv:1609.08144.
 */
class Generation(
    val start: IntArray,
    val end: Int,
    val longest: Int,
    val suppressed: IntArray,
    val suppressedFirst: IntArray,
    val beams: Int,
    val lengthPenalty: Double,
)

/** What a step of a decoder gives: logits of the next token, and the state behind the token. */
class Stepped<S>(val logits: FloatArray, val state: S)

/** A step of a decoder; a state that was given stays good, since several hypotheses may go on from it. */
fun interface Step<S> {
    fun run(state: S, token: Int, place: Int): Stepped<S>
}

private class Hypothesis<S>(val tokens: IntArray, val total: Double, val state: S) {
    fun score(penalty: Double): Double = total / ((5 + tokens.size) / 6.0).pow(penalty)
}

/** Tokens behind those of the start, without the end. Throws for logits that are no numbers. */
fun <S> generate(step: Step<S>, state: S, settings: Generation): IntArray {
    require(settings.start.isNotEmpty()) { "a decoder needs a first token" }
    val last = settings.start.size - 1
    var begun = state
    for (place in 0 until last) begun = step.run(begun, settings.start[place], place).state
    val room = settings.longest - settings.start.size
    if (room < 1) return IntArray(0)
    val follow = { hypothesis: Hypothesis<S> ->
        val token = if (hypothesis.tokens.isEmpty()) settings.start[last] else hypothesis.tokens.last()
        val stepped = step.run(hypothesis.state, token, last + hypothesis.tokens.size)
        chances(stepped.logits, settings, hypothesis.tokens.isEmpty()) to stepped.state
    }
    val first = Hypothesis(IntArray(0), 0.0, begun)
    val tokens = if (settings.beams == 1) greedy(follow, first, settings, room) else beam(follow, first, settings, room)
    return tokens.filter { it != settings.end }.toIntArray()
}

/** Log probabilities of the next token. */
private fun chances(logits: FloatArray, settings: Generation, isFirst: Boolean): DoubleArray {
    val wide = DoubleArray(logits.size) { logits[it].toDouble() }
    val barred = if (isFirst) settings.suppressed + settings.suppressedFirst else settings.suppressed
    for (token in barred) if (token < wide.size) wide[token] = Double.NEGATIVE_INFINITY
    check(wide.none { it.isNaN() } && wide.max().isFinite()) { "the decoder gave logits that are no numbers" }
    return logSoftmax(wide)
}

private fun <S> greedy(
    follow: (Hypothesis<S>) -> Pair<DoubleArray, S>,
    first: Hypothesis<S>,
    settings: Generation,
    room: Int,
): IntArray {
    var hypothesis = first
    while (hypothesis.tokens.size < room) {
        val (chances, state) = follow(hypothesis)
        val token = top(chances, 1)[0]
        hypothesis = Hypothesis(hypothesis.tokens + token, hypothesis.total + chances[token], state)
        if (token == settings.end) break
    }
    return hypothesis.tokens
}

/**
 * The tokens of the best hypothesis.
 *
 * Each that lives is followed by its `beams` + 1 likeliest tokens. Of all these the likeliest are looked
 * at: an end among the first `beams` is put aside, and the first `beams` others live on. It is over when
 * `beams` were put aside and none that lives scores better than the best of them.
 */
private fun <S> beam(
    follow: (Hypothesis<S>) -> Pair<DoubleArray, S>,
    first: Hypothesis<S>,
    settings: Generation,
    room: Int,
): IntArray {
    val width = settings.beams
    val score = { hypothesis: Hypothesis<S> -> hypothesis.score(settings.lengthPenalty) }
    var alive = listOf(first)
    val ended = mutableListOf<Hypothesis<S>>()
    for (round in 0 until room) {
        val grown = alive.flatMap { hypothesis ->
            val (chances, state) = follow(hypothesis)
            top(chances, width + 1).map { token ->
                Hypothesis(hypothesis.tokens + token, hypothesis.total + chances[token], state)
            }
        }
        val best = ranked(grown) { it.total }.take(2 * width)
        ended += best.take(width).filter { it.tokens.last() == settings.end }
        alive = best.filter { it.tokens.last() != settings.end }.take(width)
        val highest = ended.maxOfOrNull(score) ?: Double.NEGATIVE_INFINITY
        if (alive.isEmpty() || (ended.size >= width && alive.all { score(it) <= highest })) {
            alive = emptyList()
            break
        }
    }
    return ranked(ended + alive, score).first().tokens
}

// --- streams ------------------------------------------------------------------------------------

/** An output that a streaming model gets back as an input in the next call. */
class Carried(val input: String, val output: String)

/** What a streaming model carries from call to call; `zeros` is the first state, by name of the input. */
class CarriedState<T>(private val carried: List<Carried>, zeros: Map<String, T>) {
    private var state = carried.associate { it.input to zeros.getValue(it.input) }

    /** All inputs of the next call: what is given and what was carried. */
    fun inputs(given: Map<String, T>): Map<String, T> = given + state

    /** The outputs that are results; the others are kept for the next call. */
    fun take(outputs: Map<String, T>): Map<String, T> {
        state = carried.associate { it.input to outputs.getValue(it.output) }
        return outputs - carried.map { it.output }.toSet()
    }
}
