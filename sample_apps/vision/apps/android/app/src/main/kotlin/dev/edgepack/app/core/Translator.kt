package dev.edgepack.app.core

import org.json.JSONObject

/** A language that the model translates into, and the token that asks for it. */
class Language(val name: String, val token: Int)

/** What people can choose; empty for a model of one direction. */
fun readLanguages(task: JSONObject): List<Language> =
    objects(task.getJSONArray("languages")).map { Language(it.getString("name"), it.getInt("token")) }

/** A translated text. isCut: whether some of the text did not fit the model. */
class Translation(val text: String, val isCut: Boolean, val encoderMillis: Double, val decoderMillis: Double, val tokens: Int)

/**
 * Text to text as edgepack.json describes it.
 *
 * file: gives a file beside the manifest by its name.
 */
class Translator(task: JSONObject, file: (String) -> ByteArray, opener: Opener) : AutoCloseable {
    private val encoding = task.getJSONObject("encoder")
    private val tokens = encoding.getString("tokens")
    private val mask = encoding.getString("mask")
    private val length = encoding.getInt("length")
    private val filler = encoding.getInt("filler")
    private val end = encoding.getJSONArray("end").let { ids -> IntArray(ids.length()) { ids.getInt(it) } }
    private val generation = readGeneration(task.getJSONObject("generation"))
    private val names = readDecoderNames(task.getJSONObject("decoder"))
    private val reader = readEncoder(task.getJSONObject("tokenizer"), file)

    // What encodes most often decodes as well, and a vocabulary takes a while to read.
    private val writer = reader as? TextDecoder ?: readDecoder(task.getJSONObject("tokenizer"), file)

    val languages: List<Language> = readLanguages(task)

    private val opened = Opened()
    private val encoder = opened.keep { opener.open(encoding.getString("model")) }
    private val decoder = opened.keep { opener.open(names.model) }

    /** The text in another language, line by line; an empty line stays one. */
    fun translate(text: String, language: Language?): Translation {
        val lines = text.replace("\r\n", "\n").split('\n').map { if (it.isBlank()) null else translateLine(it, language) }
        val made = lines.filterNotNull()
        return Translation(
            lines.joinToString("\n") { it?.text ?: "" },
            made.any { it.isCut },
            made.sumOf { it.encoderMillis },
            made.sumOf { it.decoderMillis },
            made.sumOf { it.tokens },
        )
    }

    /** Ids that the encoder gets for a line, without the filler, and whether all of it fitted. */
    fun source(line: String, language: Language?): Pair<IntArray, Boolean> {
        val front = if (language == null) IntArray(0) else intArrayOf(language.token)
        val ids = reader.encode(line)
        val room = length - front.size - end.size
        return front + ids.copyOf(minOf(ids.size, room)) + end to (ids.size <= room)
    }

    private fun translateLine(line: String, language: Language?): Translation {
        val (ids, isWhole) = source(line, language)
        val given = mapOf(tokens to filled(ids, tokens) { if (it < ids.size) ids[it] else filler }) +
            if (mask.isEmpty()) emptyMap() else mapOf(mask to filled(ids, mask) { if (it < ids.size) 1 else 0 })
        val (encoded, encoderMillis) = timed { encoder.call(given) }
        val step = DecoderStep(decoder, names, encoded + given)
        val (found, decoderMillis) = timed { generate(step, step.start, generation) }
        return Translation(writer.decode(found), !isWhole, encoderMillis, decoderMillis, found.size)
    }

    private fun filled(ids: IntArray, input: String, value: (Int) -> Int): TensorData {
        val info = encoder.input(input)
        return TensorData.of(info.dtype, info.sizes, DoubleArray(length) { value(it).toDouble() })
    }

    override fun close() = opened.close()
}
