package dev.edgepack.app.core

/** How an output becomes named classes. activation: "softmax", "sigmoid" or "none". */
class Classes(val labels: String, val activation: String, val top: Int)

/** A class and its probability. */
data class Named(val label: String, val probability: Double)

/** Labels of a file, one a line; blanks around them, a byte order mark and ends of any kind go. */
fun readLabels(data: ByteArray): List<String> {
    val text = textOf(data).removePrefix("\uFEFF").replace("\r\n", "\n").replace('\r', '\n')
    val labels = text.split('\n').map { it.trim(' ', '\t') }.dropLastWhile { it.isEmpty() }
    require(labels.none { it.isEmpty() }) { "line ${labels.indexOf("") + 1} of the labels is empty" }
    return labels
}

/** The likeliest labels, the likeliest first. */
fun classify(output: DoubleArray, labels: List<String>, classes: Classes): List<Named> {
    require(labels.size == output.size) { "${labels.size} labels for ${output.size} classes" }
    val shares = when (classes.activation) {
        "softmax" -> softmax(output)
        "sigmoid" -> sigmoid(output)
        else -> output
    }
    return top(shares, classes.top).map { Named(labels[it], shares[it]) }
}
