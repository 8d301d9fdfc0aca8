package dev.edgepack.app

import android.content.Context
import dev.edgepack.app.core.Report
import dev.edgepack.app.core.readGolden
import dev.edgepack.app.core.readManifest
import dev.edgepack.app.core.selfTest
import dev.edgepack.app.core.shown

/** Folder of the model, its manifest and its golden cases within the app's assets. */
const val ASSETS = "edgepack"

/** Load the model, feed it the golden cases, close it. Takes a while: not for the main thread. */
fun check(context: Context): Report {
    val manifest = readManifest(text(context, "$ASSETS/edgepack.json"))
    val golden = readGolden(text(context, "$ASSETS/golden/golden.json")) { name ->
        context.assets.open("$ASSETS/golden/$name")
    }
    val start = System.nanoTime()
    return openModel(context, manifest).use { model ->
        val millis = (System.nanoTime() - start) / 1e6
        val report = selfTest(manifest, golden, model)
        Report(report.title, report.verdict, report.lines + "load     ${shown(millis)} ms with the sha256 check")
    }
}

private fun text(context: Context, path: String): String =
    context.assets.open(path).bufferedReader().use { it.readText() }
