package dev.edgepack.app.core

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

private const val BLOCK_BYTES = 1 shl 16

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

/** Throws unless the stream holds the bytes of that digest. */
fun verify(stream: InputStream, expected: String) {
    val found = sha256(stream)
    if (found != expected) throw IOException("the model's sha256 is $found, not $expected: rebuild the app")
}

/**
 * The model as a file of its own, for a runtime that wants a path.
 *
 * The file is named by its digest, so that an updated app never meets the model of an older one. It
 * is written aside and renamed: a kill leaves no half of one.
 */
fun install(folder: File, expected: String, suffix: String, open: () -> InputStream): File {
    val file = File(folder, expected + suffix)
    if (file.isFile && sha256(file.inputStream()) == expected) return file
    if (!folder.isDirectory && !folder.mkdirs()) throw IOException("cannot create $folder")
    val aside = File.createTempFile("model", ".tmp", folder)
    val found = FileOutputStream(aside).use { out ->
        sha256(open()) { block, count -> out.write(block, 0, count) }.also { out.fd.sync() }
    }
    if (found != expected) {
        aside.delete()
        throw IOException("the model's sha256 is $found, not $expected: rebuild the app")
    }
    if (!aside.renameTo(file)) throw IOException("cannot rename $aside to $file")
    return file
}

/** Remove the models of older versions of the app: all but those with these digests. */
fun removeOthers(folder: File, digests: Collection<String>) {
    folder.listFiles()?.filter { it.name.substringBefore('.') !in digests }?.forEach { it.delete() }
}
