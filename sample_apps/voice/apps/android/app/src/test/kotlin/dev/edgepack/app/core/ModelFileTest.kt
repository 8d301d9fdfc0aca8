package dev.edgepack.app.core

import java.io.File
import java.io.IOException
import java.io.InputStream
import kotlin.concurrent.thread
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ModelFileTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    private fun stream(text: String) = text.toByteArray().inputStream()

    @Test
    fun theDigestIsTheOneOfTheStandard() {
        assertEquals(abc, sha256(stream("abc")))
        verify(stream("abc"), abc, "abc")
    }

    @Test
    fun anotherModelIsRefused() {
        val thrown = assertThrows(IOException::class.java) { verify(stream("abd"), abc, "model.tflite") }
        assertTrue(thrown.message!!.startsWith("the sha256 of model.tflite is a52d159f"))
    }

    @Test
    fun aTaskGetsItsOwnFilesAsTheyWereMade() {
        val task = JSONObject("""{"files": [{"path": "labels.txt", "sha256": "$abc", "bytes": 3}]}""")
        val read = checkedFiles(task) { "abc".toByteArray() }
        assertArrayEquals("abc".toByteArray(), read("labels.txt"))
        assertThrows(IOException::class.java) { read("others.txt") }
        val damaged = checkedFiles(task) { "abd".toByteArray() }
        val thrown = assertThrows(IOException::class.java) { damaged("labels.txt") }
        assertTrue(thrown.message!!.contains("labels.txt"))
    }

    @Test
    fun aModelIsInstalledOnceAndOlderOnesGo() {
        val folder = File(temporary.root, "models").also { it.mkdirs() }
        File(folder, "older.pte").writeText("old")
        var opened = 0
        val open = { opened += 1; stream("abc") }
        val first = install(folder, abc, ".pte", open)
        val second = install(folder, abc, ".pte", open)
        assertEquals("abc", first.readText())
        assertEquals(first, second)
        assertEquals(1, opened)
        removeOthers(folder, listOf(abc))
        assertEquals(listOf("$abc.pte"), folder.list()!!.toList())
    }

    @Test
    fun aDamagedCopyIsReplaced() {
        val folder = temporary.newFolder()
        File(folder, "$abc.pte").writeText("half")
        assertEquals("abc", install(folder, abc, ".pte") { stream("abc") }.readText())
    }

    @Test
    fun aWrongModelLeavesNothingBehind() {
        val folder = temporary.newFolder()
        assertThrows(IOException::class.java) { install(folder, abc, ".pte") { stream("abd") } }
        assertTrue(folder.list()!!.isEmpty())
    }

    @Test
    fun aCopyThatBreaksOffLeavesNothingBehind() {
        val folder = temporary.newFolder()
        val broken = object : InputStream() {
            private var count = 0

            override fun read(): Int = if (count++ < 3) 'a'.code else throw IOException("gone")
        }
        val outlets = listOf({ broken }, { throw IOException("never there") })
        for (open in outlets) {
            assertThrows(IOException::class.java) { install(folder, abc, ".pte", open) }
            assertTrue(folder.list()!!.isEmpty())
        }
        File(folder, "$abc.pte/in the way").mkdirs()
        assertThrows(IOException::class.java) { install(folder, abc, ".pte") { stream("abc") } }
        assertEquals(listOf("$abc.pte"), folder.list()!!.toList())
    }

    @Test
    fun aModelIsCopiedOnceAndNobodyTakesTheCopyAway() {
        val folder = temporary.newFolder()
        val others = mutableListOf<Thread>()
        var opened = 0
        val open = {
            opened += 1
            if (others.isEmpty()) {
                others += thread { removeOthers(folder, listOf(abc)) }
                others += thread { install(folder, abc, ".pte") { opened += 1; stream("abc") } }
                others.forEach { it.join(200) } // long enough for what does not wait
            }
            stream("abc")
        }
        assertEquals("abc", install(folder, abc, ".pte", open).readText())
        others.forEach { it.join() }
        assertEquals(1, opened)
        assertEquals(listOf("$abc.pte"), folder.list()!!.toList())
    }
}
