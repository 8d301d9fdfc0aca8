package dev.edgepack.app.core

import java.util.Locale

/** What a model gave for one call: its outputs, and the time of the call alone. */
class Outcome(val outputs: List<TensorData>, val nanos: Long)

/** A loaded model. Not for two threads at once. */
interface Model : AutoCloseable {
    fun run(inputs: List<TensorData>): Outcome
}

enum class Verdict { PASS, FAIL, NOT_RUN }

/** The model's name, the answer, and the whole story in lines for a person. */
class Report(val title: String, val verdict: Verdict, val lines: List<String>)

private const val TIMED_RUNS = 10
private const val SHOWN_NUMBERS = 6

/** Feed every golden case to the model and judge its outputs by the limits. */
fun selfTest(info: ModelInfo, golden: List<GoldenCase>, model: Model): Report {
    val lines = describe(info).toMutableList()
    if (golden.isEmpty()) {
        lines += "There are no golden cases of this model, so nothing was checked."
        return Report(info.name, Verdict.NOT_RUN, lines)
    }
    val agreements = info.outputs.map { mutableListOf<Double>() }
    var failed = false
    golden.forEachIndexed { number, case ->
        val outcome = model.run(case.inputs)
        lines += ""
        lines += "case ${number + 1}"
        info.outputs.forEachIndexed { index, output ->
            val reference = case.outputs[index]
            val actual = output.real(outcome.outputs[index])
            val metrics = compare(reference, actual, output.peak)
            val faults = broken(metrics, reference.dtype, info.limits, output.peak)
            metrics.agreement?.let { agreements[index] += it }
            failed = failed || faults.isNotEmpty()
            lines += describe(output, metrics, actual, faults)
        }
    }
    info.outputs.forEachIndexed { index, output ->
        val least = leastAgreement(golden.first().outputs[index].dtype, info.limits)
        if (least != null && agreements[index].isNotEmpty() && !(agreements[index].average() >= least)) {
            failed = true
            lines += "${output.name}: agreement ${shown(agreements[index].average())}, limit ${shown(least)}"
        }
    }
    lines += ""
    lines += timing(golden.first(), model)
    return Report(info.name, if (failed) Verdict.FAIL else Verdict.PASS, lines)
}

/** A number with enough digits to tell a good result from a bad one, the same in every language. */
fun shown(value: Double): String {
    if (value.isNaN()) return "nan"
    if (value.isInfinite()) return if (value > 0) "inf" else "-inf"
    if (value == 0.0) return "0"
    val plain = Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6
    if (!plain) return String.format(Locale.ROOT, "%.3e", value)
    val digits = String.format(Locale.ROOT, "%.7g", value)
    return if ('.' in digits) digits.trimEnd('0').trimEnd('.') else digits
}

/** One report of all models: the worst verdict, and everything there is to say. */
fun joined(title: String, reports: List<Report>): Report {
    val worst = reports.maxByOrNull { listOf(Verdict.PASS, Verdict.NOT_RUN, Verdict.FAIL).indexOf(it.verdict) }
    val lines = reports.flatMap { report ->
        val head = if (reports.size > 1) listOf("${report.title}: ${report.verdict}") else emptyList()
        head + report.lines + ""
    }
    return Report(title, worst?.verdict ?: Verdict.NOT_RUN, lines.dropLast(1))
}

private fun describe(info: ModelInfo): List<String> =
    listOf("variant  ${info.variant}", "sha256   ${info.sha256}") +
        info.inputs.map { "input    $it" } + info.outputs.map { "output   $it" }

private fun describe(
    info: TensorInfo,
    metrics: Metrics,
    actual: DoubleArray,
    faults: List<String>,
): List<String> {
    val start = actual.take(SHOWN_NUMBERS).joinToString(" ") { shown(it) }
    val more = if (actual.size > SHOWN_NUMBERS) " …" else ""
    val agreement = metrics.agreement?.let { ", agreement ${shown(100.0 * it)} %" } ?: ""
    return listOf(
        "  ${info.name}: ${if (faults.isEmpty()) "pass" else "FAIL"}",
        "    max error ${shown(metrics.maxAbs)}, SQNR ${shown(metrics.sqnrDb)} dB, " +
            "cosine ${shown(metrics.cosine)}$agreement",
        "    $start$more",
    ) + faults.map { "    $it" }
}

private fun timing(case: GoldenCase, model: Model): String {
    val millis = List(TIMED_RUNS) { model.run(case.inputs).nanos / 1e6 }.sorted()
    return "time     ${shown(millis[TIMED_RUNS / 2])} ms median of $TIMED_RUNS runs, " +
        "${shown(millis.first())} to ${shown(millis.last())}"
}
