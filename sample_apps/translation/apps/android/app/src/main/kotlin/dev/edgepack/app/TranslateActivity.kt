package dev.edgepack.app

import android.app.Activity
import android.os.Bundle
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.EditText
import android.widget.Spinner
import android.widget.TextView
import dev.edgepack.app.core.Translation
import dev.edgepack.app.core.Translator
import dev.edgepack.app.core.readLanguages
import dev.edgepack.app.core.shown

/** A text, and the same in another language. */
class TranslateActivity : Activity() {
    private val worker = Worker(this) { openTask(applicationContext, ::Translator) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.translate)
        padForSystemBars(findViewById(R.id.root))
        val languages = readLanguages(manifestOf(this).task)
        findViewById<Spinner>(R.id.language).apply {
            adapter = ArrayAdapter(context, android.R.layout.simple_spinner_dropdown_item, languages.map { it.name })
            visibility = if (languages.isEmpty()) View.GONE else View.VISIBLE
        }
        findViewById<Button>(R.id.translate).setOnClickListener { translate() }
        findViewById<Button>(R.id.check).setOnClickListener { openCheck(this) }
    }

    override fun onDestroy() {
        worker.close()
        super.onDestroy()
    }

    private fun translate() {
        val field = findViewById<EditText>(R.id.text)
        val text = field.text.toString()
        if (text.isBlank()) return
        getSystemService(InputMethodManager::class.java).hideSoftInputFromWindow(field.windowToken, 0)
        val place = findViewById<Spinner>(R.id.language).selectedItemPosition
        findViewById<Button>(R.id.translate).isEnabled = false
        findViewById<TextView>(R.id.answer).setText(R.string.running)
        findViewById<TextView>(R.id.details).text = ""
        worker.run({ it.translate(text, it.languages.getOrNull(place)) }, ::show, ::fail)
    }

    private fun show(made: Translation) {
        findViewById<Button>(R.id.translate).isEnabled = true
        findViewById<TextView>(R.id.answer).text = made.text
        val times = getString(
            R.string.translate_times, shown(Math.rint(made.encoderMillis)), shown(Math.rint(made.decoderMillis)), made.tokens,
        )
        findViewById<TextView>(R.id.details).text = if (made.isCut) "$times\n${getString(R.string.cut)}" else times
    }

    private fun fail(message: String) {
        findViewById<Button>(R.id.translate).isEnabled = true
        findViewById<TextView>(R.id.answer).text = message
    }
}
