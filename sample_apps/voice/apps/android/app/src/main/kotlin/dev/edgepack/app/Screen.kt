package dev.edgepack.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.os.Build
import android.util.Log
import android.view.View
import android.view.WindowInsets
import dev.edgepack.app.core.Callee
import dev.edgepack.app.core.Opener
import dev.edgepack.app.core.checkedFiles
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import org.json.JSONObject

/** Keep a screen's content clear of the system bars, under which it reaches from Android 15 on. */
fun padForSystemBars(view: View) {
    if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return
    view.setOnApplyWindowInsetsListener { _, insets ->
        val kinds = WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout() or WindowInsets.Type.ime()
        val bars = insets.getInsets(kinds)
        view.setPadding(bars.left, bars.top, bars.right, bars.bottom)
        WindowInsets.CONSUMED
    }
}

/** Go to the screen that checks the models with their golden cases. */
fun openCheck(activity: Activity) = activity.startActivity(Intent(activity, CheckActivity::class.java))

/**
 * What `open` makes of the task in edgepack.json.
 *
 * It gets the task, what reads the task's files and what opens the app's models by their names; the digest of
 * each is checked.
 */
fun <T> openTask(context: Context, open: (JSONObject, (String) -> ByteArray, Opener) -> T): T {
    val manifest = manifestOf(context)
    removeOldModels(context, manifest.models)
    val files = checkedFiles(manifest.task) { asset(context, it) }
    val opener = Opener { name -> manifest.model(name).let { Callee(it, openModel(context, it)) } }
    return open(manifest.task, files, opener)
}

/** One thread for one thing that is not for two threads at once; the screen never waits for it. */
class Worker<T : AutoCloseable>(private val activity: Activity, private val open: () -> T) {
    private val thread: ExecutorService = Executors.newSingleThreadExecutor()
    private var opened: T? = null // for the thread alone

    /** Work with what `open` gave, and show what came of it, or why nothing did. */
    fun <R> run(work: (T) -> R, show: (R) -> Unit, fail: (String) -> Unit) = thread.execute {
        val result = try {
            Result.success(work(opened ?: open().also { opened = it }))
        } catch (error: Exception) {
            Result.failure(error)
        } catch (error: LinkageError) {
            Result.failure(error)
        } catch (error: OutOfMemoryError) { // a large photo or model; what it took is free again
            Result.failure(error)
        }
        activity.runOnUiThread {
            if (!activity.isDestroyed) result.fold(show) { error ->
                Log.e("edgepack", "the work could not be done", error)
                fail(error.toString())
            }
        }
    }

    fun close() {
        thread.execute { opened?.close() }
        thread.shutdown()
    }
}
