package dev.edgepack.app.core

import org.json.JSONObject

/** A stretch of speech in seconds of the recording, and what was said. */
class Utterance(val startSeconds: Double, val endSeconds: Double, val text: String, val tokens: IntArray)

/** Everything said in a recording, and the milliseconds of each step. */
class Transcription(val utterances: List<Utterance>, val steps: List<StepTime>) {
    val text: String get() = utterances.joinToString(" ") { it.text.trim() }.trim()
}

/** How long a step took, all its calls together. */
class StepTime(val name: String, val millis: Double, val calls: Int)

/**
 * Speech to text as edgepack.json describes it: a detector finds speech, an encoder hears it, a decoder
 * writes it down token by token.
 *
 * file: gives a file beside the manifest by its name.
 */
class Transcriber(task: JSONObject, file: (String) -> ByteArray, opener: Opener) : AutoCloseable {
    private val speech = readSpeech(task.getJSONObject("speech"))
    private val features = readLogMel(task.getJSONObject("features"))
    private val generation = readGeneration(task.getJSONObject("generation"))
    private val tokenizer = readDecoder(task.getJSONObject("tokenizer"), file)
    private val detection = task.getJSONObject("detector")
    private val frames = readFrames(detection.getJSONObject("frames"))
    private val carried = readCarriedList(detection.getJSONArray("carried"))
    private val mel = task.getJSONObject("encoder").getString("input")
    private val names = readDecoderNames(task.getJSONObject("decoder"))
    private val opened = Opened()
    private val detector = opened.keep { opener.open(detection.getString("model")) }
    private val encoder = opened.keep { opener.open(task.getJSONObject("encoder").getString("model")) }
    private val decoder = opened.keep { opener.open(names.model) }

    /** Samples a second that `transcribe` takes; others are resampled. */
    val sampleRate: Int = speech.sampleRate

    /** What is said in a recording of one channel, from -1 to 1. */
    fun transcribe(samples: FloatArray, rate: Int = sampleRate): Transcription {
        val sound = if (rate == sampleRate) samples else resample(samples, rate, sampleRate)
        val clock = Clock()
        val found = clock.time("find speech") { stretches(probabilities(sound), sound.size.toLong(), speech) }
        val utterances = found.map { stretch ->
            val part = sound.copyOfRange(stretch.first.toInt(), stretch.end.toInt())
            val tokens = tokensOf(part, clock)
            Utterance(
                stretch.first / sampleRate.toDouble(), stretch.end / sampleRate.toDouble(),
                tokenizer.decode(tokens), tokens,
            )
        }
        return Transcription(utterances, clock.steps())
    }

    /** Tokens of one stretch of speech. */
    fun tokensOf(samples: FloatArray): IntArray = tokensOf(samples, Clock())

    /** The text that tokens spell. */
    fun textOf(tokens: IntArray): String = tokenizer.decode(tokens)

    /** How likely each frame of a recording is speech. */
    fun probabilities(samples: FloatArray): FloatArray {
        val input = detection.getString("input")
        val output = detection.getString("output")
        val sizes = detector.input(input).sizes
        val stream = CarriedState(carried, detector.zeros(carried))
        val windows = frames(samples, frames)
        return FloatArray(windows.size) { place ->
            val frame = TensorData(sizes, windows[place])
            val outputs = stream.take(detector.call(stream.inputs(mapOf(input to frame))))
            detector.output(output).real(outputs.getValue(output))[0].toFloat()
        }
    }

    private fun tokensOf(samples: FloatArray, clock: Clock): IntArray {
        val spectrogram = clock.time("spectrogram") { logMel(samples, features) }
        val input = TensorData(encoder.input(mel).sizes, spectrogram.values)
        val encoded = clock.time("encoder") { encoder.call(mapOf(mel to input)) }
        val step = DecoderStep(decoder, names, encoded)
        val counted = Step<Map<String, TensorData>> { state, token, place ->
            clock.time("decoder, a token") { step.run(state, token, place) }
        }
        return generate(counted, step.start, generation)
    }

    override fun close() = opened.close()
}

/** Adds up how long each step takes. */
private class Clock {
    private val millis = LinkedHashMap<String, Double>()
    private val calls = HashMap<String, Int>()

    fun <T> time(name: String, work: () -> T): T {
        val (made, spent) = timed(work)
        millis[name] = (millis[name] ?: 0.0) + spent
        calls[name] = (calls[name] ?: 0) + 1
        return made
    }

    fun steps(): List<StepTime> = millis.map { StepTime(it.key, it.value, calls.getValue(it.key)) }
}
