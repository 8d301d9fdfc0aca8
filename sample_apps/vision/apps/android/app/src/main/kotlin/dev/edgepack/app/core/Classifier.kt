package dev.edgepack.app.core

import org.json.JSONObject

/** The likeliest classes of a picture, and the milliseconds of each step. */
class Classified(val classes: List<Named>, val prepareMillis: Double, val modelMillis: Double)

/**
 * Image classification as edgepack.json describes it.
 *
 * file: gives a file beside the manifest by its name.
 */
class Classifier(task: JSONObject, file: (String) -> ByteArray, opener: Opener) : AutoCloseable {
    private val image = readImageInput(task.getJSONObject("image"))
    private val classes = readClasses(task.getJSONObject("classes"))
    private val labels = readLabels(file(classes.labels))
    private val input = task.getString("input")
    private val output = task.getString("output")
    private val model = opener.open(task.getString("model"))

    fun classify(pixels: Pixels): Classified {
        val (prepared, prepareMillis) = timed { prepare(pixels, image).shaped(model.input(input).sizes) }
        val (outputs, modelMillis) = timed { model.call(mapOf(input to prepared)) }
        val scores = model.output(output).real(outputs.getValue(output))
        return Classified(classify(scores, labels, classes), prepareMillis, modelMillis)
    }

    override fun close() = model.close()
}
