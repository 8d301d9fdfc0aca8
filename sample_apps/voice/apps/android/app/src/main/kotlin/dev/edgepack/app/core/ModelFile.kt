package dev.edgepack.app.core

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import org.json.JSONObject

private const val BLOCK_BYTES = 1 shl 16

// Held by whoever writes or removes installed models: two screens may want the same one at once, and a file
// that is being written looks like a leftover.
private val installing = Any()

/** sha256 of a stream in 64 hex digits; every block read goes to `copy` as well. Closes the stream. */
fun sha256(stream: InputStream, copy: (ByteArray, Int) -> Unit = { _, _ -> }): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val block = ByteArray(BLOCK_BYTES)
    stream.use {
        while (true) {
            val count = it.read(block)
            if (count < 0) break
            digest.update(block, 0, count)
            copy(block, count)
        }
    }
    return digest.digest().joinToString("") { byte -> "%02x".format(byte.toInt() and 0xFF) }
}

/** Throws unless the stream holds the bytes of that digest. name: what the stream is called in the message. */
fun verify(stream: InputStream, expected: String, name: String) = match(sha256(stream), expected, name)

private fun match(found: String, expected: String, name: String) {
    if (found != expected) throw IOException("the sha256 of $name is $found, not $expected: rebuild the app")
}

/** `read` for the files of a task alone, each with its digest checked; it gives a file beside the manifest. */
fun checkedFiles(task: JSONObject, read: (String) -> ByteArray): (String) -> ByteArray {
    val digests = objects(task.getJSONArray("files")).associate { it.getString("path") to it.getString("sha256") }
    return { name ->
        val expected = digests[name] ?: throw IOException("edgepack.json lists no file $name")
        read(name).also { verify(it.inputStream(), expected, name) }
    }
}

/**
 * The model as a file of its own, for a runtime that wants a path.
 *
 * The file is named by its digest, so that an updated app never meets the model of an older one. It
 * is written aside and renamed: a kill leaves no half of one.
 */
fun install(folder: File, expected: String, suffix: String, open: () -> InputStream): File =
    synchronized(installing) {
        val file = File(folder, expected + suffix)
        if (!file.isFile || sha256(file.inputStream()) != expected) write(file, expected, open)
        file
    }

private fun write(file: File, expected: String, open: () -> InputStream) {
    val folder = file.parentFile
    if (!folder.isDirectory && !folder.mkdirs()) throw IOException("cannot create $folder")
    val aside = File.createTempFile("model", ".tmp", folder)
    try {
        val found = FileOutputStream(aside).use { out ->
            sha256(open()) { block, count -> out.write(block, 0, count) }.also { out.fd.sync() }
        }
        match(found, expected, "the model")
        if (!aside.renameTo(file)) throw IOException("cannot rename $aside to $file")
    } finally {
        aside.delete() // still there only if something failed, as when the storage is full
    }
}

/** Remove the models of older versions of the app: all but those with these digests. */
fun removeOthers(folder: File, digests: Collection<String>) {
    synchronized(installing) {
        folder.listFiles()?.filter { it.name.substringBefore('.') !in digests }?.forEach { it.delete() }
    }
}
