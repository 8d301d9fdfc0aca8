package dev.edgepack.app

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.util.Log
import android.view.View
import android.view.WindowInsets
import android.widget.Button
import android.widget.TextView
import dev.edgepack.app.core.Report
import dev.edgepack.app.core.Verdict
import java.util.concurrent.Executors

/** One screen: does the model still give, on this device, what it gave when it was trained? */
class MainActivity : Activity() {
    // One thread: a model serves one call at a time, and the screen never waits for it.
    private val worker = Executors.newSingleThreadExecutor()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        padForSystemBars(findViewById(R.id.root))
        findViewById<Button>(R.id.run).setOnClickListener { start() }
        start()
    }

    override fun onDestroy() {
        worker.shutdown()
        super.onDestroy()
    }

    private fun start() {
        findViewById<Button>(R.id.run).isEnabled = false
        findViewById<TextView>(R.id.verdict).setText(R.string.running)
        worker.execute {
            val report = try {
                check(applicationContext)
            } catch (error: Exception) {
                failure(error)
            } catch (error: LinkageError) {
                failure(error)
            }
            runOnUiThread { show(report) }
        }
    }

    private fun failure(error: Throwable): Report {
        Log.e("edgepack", "the check could not be done", error)
        return Report("", Verdict.FAIL, listOf(error.toString()))
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

    /** From Android 15 on the screen reaches under the system bars. */
    private fun padForSystemBars(view: View) {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return
        view.setOnApplyWindowInsetsListener { _, insets ->
            val bars = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
            view.setPadding(bars.left, bars.top, bars.right, bars.bottom)
            WindowInsets.CONSUMED
        }
    }
}
