package dev.edgepack.app

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.os.Bundle
import android.widget.Button
import android.widget.TextView
import dev.edgepack.app.core.Transcriber
import dev.edgepack.app.core.Transcription
import dev.edgepack.app.core.shown

/** Record, find the speech, write it down, and say how long each step took. */
class VoiceActivity : Activity() {
    private val worker = Worker(this) { openTask(applicationContext, ::Transcriber) }
    private var recorder: Recorder? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.voice)
        padForSystemBars(findViewById(R.id.root))
        findViewById<Button>(R.id.record).setOnClickListener { toggle() }
        findViewById<Button>(R.id.check).setOnClickListener { openCheck(this) }
    }

    override fun onStop() {
        recorder?.stop()
        super.onStop()
    }

    override fun onDestroy() {
        worker.close()
        super.onDestroy()
    }

    private fun toggle() {
        recorder?.let { return it.stop() }
        if (checkSelfPermission(Manifest.permission.RECORD_AUDIO) != PackageManager.PERMISSION_GRANTED) {
            return requestPermissions(arrayOf(Manifest.permission.RECORD_AUDIO), 1)
        }
        val started = Recorder()
        recorder = started
        findViewById<Button>(R.id.record).setText(R.string.stop)
        findViewById<Button>(R.id.record).keepScreenOn = true // nobody touches it while they speak
        findViewById<TextView>(R.id.answer).setText(R.string.listening)
        findViewById<TextView>(R.id.details).text = ""
        // The models are opened while people speak: what comes first of both waits for the other.
        Thread({
            val samples = started.record()
            runOnUiThread { if (!isDestroyed) transcribe(samples, started) }
        }, "recorder").start()
        worker.run({ }, { }, ::fail)
    }

    override fun onRequestPermissionsResult(code: Int, permissions: Array<String>, results: IntArray) {
        if (results.isEmpty()) return // the question was interrupted
        if (results.first() == PackageManager.PERMISSION_GRANTED) {
            toggle()
        } else {
            fail(getString(R.string.microphone_refused))
        }
    }

    private fun transcribe(samples: FloatArray?, ended: Recorder) {
        recorder = null
        findViewById<Button>(R.id.record).setText(R.string.record)
        findViewById<Button>(R.id.record).keepScreenOn = false
        if (samples == null) return fail(getString(R.string.no_microphone))
        findViewById<TextView>(R.id.answer).setText(R.string.running)
        findViewById<Button>(R.id.record).isEnabled = false
        val notes = if (ended.isFull) listOf(getString(R.string.recording_full)) else emptyList()
        findViewById<TextView>(R.id.details).text = notes.joinToString()
        val seconds = samples.size / ended.rate.toDouble()
        worker.run({ it.transcribe(samples, ended.rate) }, { show(it, seconds, notes) }, ::fail)
    }

    private fun show(made: Transcription, seconds: Double, notes: List<String>) {
        findViewById<Button>(R.id.record).isEnabled = true
        findViewById<TextView>(R.id.answer).text = made.text.ifEmpty { getString(R.string.no_speech) }
        val utterances = made.utterances.map { "${times(it.startSeconds)} to ${times(it.endSeconds)}  ${it.text.trim()}" }
        val steps = made.steps.map { "${it.name}: ${shown(Math.rint(it.millis))} ms, ${it.calls} ×" }
        val all = Math.rint(made.steps.sumOf { it.millis })
        val sum = getString(R.string.voice_times, times(seconds), shown(all))
        findViewById<TextView>(R.id.details).text = (notes + utterances + "" + steps + sum).joinToString("\n")
    }

    private fun times(seconds: Double): String = "${shown(Math.rint(seconds * 10) / 10)} s"

    private fun fail(message: String) {
        findViewById<Button>(R.id.record).isEnabled = true
        findViewById<TextView>(R.id.answer).text = message
    }
}
