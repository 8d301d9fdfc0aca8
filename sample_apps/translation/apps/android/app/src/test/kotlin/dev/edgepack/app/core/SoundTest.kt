package dev.edgepack.app.core

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class SoundTest {
    private val vectors = Vectors.table("sound")

    private fun wave(case: JSONObject): FloatArray = wave(case.getLong("seed"), case.getInt("samples"))

    @Test
    fun soundIsResampledAsInEdgepack() {
        for (case in objectsOf(vectors.getJSONArray("resampled"))) {
            val done = resample(wave(case), case.getInt("from"), case.getInt("to"))
            assertClose("from ${case.getInt("from")}", unpacked(case.getString("values")), done)
        }
        assertThrows(IllegalArgumentException::class.java) { resample(FloatArray(9), 15991, 16007) }
        assertThrows(IllegalArgumentException::class.java) { resample(FloatArray(9), 0, 16000) }
    }

    @Test
    fun framesAreEqualToTheBit() {
        for (case in objectsOf(vectors.getJSONArray("frames"))) {
            val done = frames(wave(case), readFrames(case.getJSONObject("settings")))
            assertEquals(case.toString(), case.getInt("count"), done.size)
            assertEquals(case.toString(), case.getString("sha256"), digestOf(done))
        }
    }

    @Test
    fun spectrogramsAreThoseOfEdgepack() {
        for (case in objectsOf(vectors.getJSONArray("spectrograms"))) {
            val settings = readLogMel(case.getJSONObject("settings"))
            val done = logMel(wave(case), settings)
            val shape = if (settings.bandsFirst) listOf(done.bands, done.frames) else listOf(done.frames, done.bands)
            assertEquals(intsOf(case.getJSONArray("shape")), shape)
            assertClose("window ${settings.window}", unpacked(case.getString("values")), done.values)
        }
    }

    @Test
    fun thirtySecondsAreWhatWhisperHears() {
        val case = vectors.getJSONObject("whisper")
        val done = logMel(wave(case), readLogMel(case.getJSONObject("settings")))
        assertEquals(listOf(80, 3000), listOf(done.bands, done.frames))
        val frames = intsOf(case.getJSONArray("frames"))
        val picked = FloatArray(80 * frames.size) { done.values[it / frames.size * 3000 + frames[it % frames.size]] }
        assertClose("whisper", unpacked(case.getString("values")), picked)
        assertEquals(case.getDouble("mean"), done.values.sumOf { it.toDouble() } / done.values.size, 1e-6)
    }

    @Test
    fun channelsAndSixteenBits() {
        val case = vectors.getJSONObject("mono")
        val given = wave(case.getLong("seed"), case.getInt("samples") * case.getInt("channels"))
        assertClose("mono", unpacked(case.getString("values")), mono(given, case.getInt("channels")))
        val pcm = vectors.getJSONObject("pcm16")
        val floats = doublesOf(pcm.getJSONArray("values")).map { it.toFloat() }.toFloatArray()
        assertEquals(intsOf(pcm.getJSONArray("samples")), toPcm16(floats).map { it.toInt() })
        val all = ShortArray(65536) { (it - 32768).toShort() }
        assertArrayEquals(all, toPcm16(fromPcm16(all)))
    }

    @Test
    fun recordingsAreReadAndWritten() {
        val case = vectors.getJSONObject("wav")
        val samples = intsOf(case.getJSONArray("samples")).map { it.toShort() }.toShortArray()
        assertArrayEquals(bytesOf(case.getString("file")), writeWav(samples, case.getInt("rate")))
        for (each in objectsOf(case.getJSONArray("read"))) {
            val done = readWav(bytesOf(each.getString("file")))
            assertEquals(listOf(each.getInt("rate"), each.getInt("channels")), listOf(done.rate, done.channels))
            assertEquals(intsOf(each.getJSONArray("samples")), done.samples.map { it.toInt() })
        }
        val refused = case.getJSONArray("refused")
        for (place in 0 until refused.length()) {
            val file = bytesOf(refused.getString(place))
            assertThrows("file $place", IllegalArgumentException::class.java) { readWav(file) }
        }
    }

    @Test
    fun transformsOfAnySizeAreRight() {
        for (size in listOf(1, 2, 3, 12, 17, 64, 97, 400)) {
            val samples = DoubleArray(size) { sin(it * it + 1.0) }
            val power = DoubleArray(size / 2 + 1)
            Fourier(size).power(samples, power)
            for (k in power.indices) {
                val real = samples.indices.sumOf { samples[it] * cos(2 * PI * it * k / size) }
                val imaginary = samples.indices.sumOf { samples[it] * sin(2 * PI * it * k / size) }
                assertEquals("$size: $k", real * real + imaginary * imaginary, power[k], 1e-9)
            }
        }
    }

    @Test
    fun tooShortARecordingIsRefused() {
        val settings = vectors.getJSONObject("whisper").getJSONObject("settings")
        val open = readLogMel(JSONObject(settings.toString()).put("length", 0))
        assertThrows(IllegalArgumentException::class.java) { logMel(FloatArray(0), open) }
        val none = readLogMel(JSONObject(settings.toString()).put("length", 100).put("center", "none"))
        assertThrows(IllegalArgumentException::class.java) { logMel(FloatArray(9), none) }
    }
}
