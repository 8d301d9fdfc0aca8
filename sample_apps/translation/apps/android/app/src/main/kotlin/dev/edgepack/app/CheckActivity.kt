package dev.edgepack.app

import android.app.Activity
import android.os.Bundle
import android.widget.Button
import android.widget.TextView
import dev.edgepack.app.core.Report
import dev.edgepack.app.core.Verdict

/** Do the models still give, on this device, what they gave when they were trained? */
class CheckActivity : Activity() {
    private val worker = Worker(this) { AutoCloseable { } }

    @Volatile
    private var isLeft = false

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.check)
        padForSystemBars(findViewById(R.id.root))
        findViewById<Button>(R.id.run).setOnClickListener { start() }
        start()
    }

    override fun onDestroy() {
        isLeft = true
        worker.close()
        super.onDestroy()
    }

    private fun start() {
        findViewById<Button>(R.id.run).isEnabled = false
        findViewById<TextView>(R.id.verdict).setText(R.string.running)
        worker.run({ check(applicationContext) { isLeft } }, ::show) { show(Report("", Verdict.FAIL, listOf(it))) }
    }

    private fun show(report: Report) {
        val (word, color) = when (report.verdict) {
            Verdict.PASS -> R.string.passed to R.color.passed
            Verdict.FAIL -> R.string.failed to R.color.failed
            Verdict.NOT_RUN -> R.string.not_run to R.color.not_run
        }
        findViewById<TextView>(R.id.title).text = report.title
        findViewById<TextView>(R.id.verdict).apply {
            setText(word)
            setTextColor(getColor(color))
        }
        findViewById<TextView>(R.id.details).text = report.lines.joinToString("\n")
        findViewById<Button>(R.id.run).isEnabled = true
    }
}
