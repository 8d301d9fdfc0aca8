package dev.edgepack.app.core

import java.io.File
import java.io.IOException
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
        verify(stream("abc"), abc)
    }

    @Test
    fun anotherModelIsRefused() {
        assertThrows(IOException::class.java) { verify(stream("abd"), abc) }
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
}
