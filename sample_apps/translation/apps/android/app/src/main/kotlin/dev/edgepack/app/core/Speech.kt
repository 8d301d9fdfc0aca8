package dev.edgepack.app.core

import kotlin.math.max
import kotlin.math.min

/**
 * How a probability of speech per frame becomes stretches of speech.
 *
 * frame: samples a probability stands for. Speech begins at `threshold` and goes on until it stays below
 * `release` for minSilenceMs; what does not last longer than minSpeechMs is dropped. padMs is added to
 * both sides, or half the silence between two. longestMs: a stretch is cut in the last silence before it
 * gets longer, or right there; 0 for never.
 */
class Speech(
    val sampleRate: Int,
    val frame: Int,
    val threshold: Double,
    val release: Double,
    val minSpeechMs: Int,
    val minSilenceMs: Int,
    val padMs: Int,
    val longestMs: Int,
)

/** Samples from `first` on, up to but without `end`. */
data class Stretch(val first: Long, val end: Long)

/** The stretches of speech in a recording of so many samples; probabilities: one per frame. */
fun stretches(probabilities: FloatArray, samples: Long, speech: Speech): List<Stretch> {
    val found = spoken(probabilities, samples, speech)
        .filter { (it.end - it.first) * 1000 > speech.minSpeechMs.toLong() * speech.sampleRate }
    val pad = speech.padMs.toLong() * speech.sampleRate / 1000
    return found.mapIndexed { place, stretch ->
        val before = if (place > 0) stretch.first - found[place - 1].end else 2 * pad
        val after = if (place + 1 < found.size) found[place + 1].first - stretch.end else 2 * pad
        Stretch(
            max(0, stretch.first - min(pad, before / 2)),
            min(samples, stretch.end + min(pad, after / 2)),
        )
    }
}

/** Stretches before short ones are dropped and the others padded. */
private fun spoken(probabilities: FloatArray, samples: Long, speech: Speech): List<Stretch> {
    val silence = speech.minSilenceMs.toLong() * speech.sampleRate
    val longest = speech.longestMs.toLong() * speech.sampleRate
    val found = mutableListOf<Stretch>()
    var start = -1L
    var quiet = -1L
    var pause: Stretch? = null
    probabilities.forEachIndexed { number, probability ->
        val now = number.toLong() * speech.frame
        if (probability >= speech.threshold) {
            if (start < 0) start = now else if (quiet >= 0) pause = Stretch(quiet, now)
            quiet = -1
        } else if (probability < speech.release && start >= 0) {
            if (quiet < 0) quiet = now
            if ((now - quiet) * 1000 >= silence) {
                found += Stretch(start, quiet)
                start = -1
                quiet = -1
                pause = null
            }
        }
        if (longest > 0 && start >= 0 && now > start && (now + speech.frame - start) * 1000 > longest) {
            val cut = if (quiet >= 0) Stretch(quiet, -1) else pause ?: Stretch(now, now)
            found += Stretch(start, cut.first)
            start = cut.end
            quiet = -1
            pause = null
        }
    }
    if (start >= 0) found += Stretch(start, samples)
    return found
}
