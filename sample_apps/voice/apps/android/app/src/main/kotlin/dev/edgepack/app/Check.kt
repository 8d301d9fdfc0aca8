package dev.edgepack.app

import android.content.Context
import dev.edgepack.app.core.Manifest
import dev.edgepack.app.core.ModelInfo
import dev.edgepack.app.core.Report
import dev.edgepack.app.core.joined
import dev.edgepack.app.core.readGolden
import dev.edgepack.app.core.readManifest
import dev.edgepack.app.core.selfTest
import dev.edgepack.app.core.shown
import java.util.concurrent.CancellationException

/** Folder of the models, their manifest and their golden cases within the app's assets. */
const val ASSETS = "edgepack"

/** What the app's edgepack.json says. */
fun manifestOf(context: Context): Manifest = readManifest(String(asset(context, "edgepack.json"), Charsets.UTF_8))

/** A file beside edgepack.json. */
fun asset(context: Context, name: String): ByteArray = context.assets.open("$ASSETS/$name").use { it.readBytes() }

/** Load each model in turn, feed it its golden cases, close it. Takes a while: not for the main thread. */
fun check(context: Context): Report = check(context) { false }

/** The same; it ends with an exception before the next model once `isLeft` says that nobody waits for it. */
fun check(context: Context, isLeft: () -> Boolean): Report {
    val manifest = manifestOf(context)
    removeOldModels(context, manifest.models)
    val title = manifest.models.joinToString { it.name }
    val reports = manifest.models.map {
        if (isLeft()) throw CancellationException("nobody waits for the check")
        check(context, it)
    }
    val report = joined(title, reports)
    return Report(title, report.verdict, listOf("runtime  ${manifest.runtime}") + report.lines)
}

private fun check(context: Context, info: ModelInfo): Report {
    val golden = readGolden(String(asset(context, "${info.golden}/golden.json"), Charsets.UTF_8)) { name ->
        context.assets.open("$ASSETS/${info.golden}/$name")
    }
    val start = System.nanoTime()
    return openModel(context, info).use { model ->
        val millis = (System.nanoTime() - start) / 1e6
        val report = selfTest(info, golden, model)
        Report(report.title, report.verdict, report.lines + "load     ${shown(millis)} ms with the sha256 check")
    }
}
