package dev.edgepack.app.core

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class TasksTest {
    /** A model that works out its outputs in a few lines of Kotlin, by the names of its tensors. */
    private class Toy(
        inputs: Map<String, IntArray>,
        outputs: Map<String, IntArray>,
        integers: Set<String> = emptySet(),
        private val work: (Map<String, TensorData>) -> Map<String, DoubleArray>,
    ) : Model {
        val info = ModelInfo(
            "toy", "litert-fp32", "model.tflite", "00", "golden/toy",
            inputs.map { tensor(it.key, it.value, it.key in integers) },
            outputs.map { tensor(it.key, it.value, false) },
            emptyMap(),
        )
        val seen = mutableListOf<List<TensorData>>()
        var isClosed = false

        override fun run(inputs: List<TensorData>): Outcome {
            seen += inputs
            for ((info, data) in info.inputs.zip(inputs)) {
                assertEquals(info.name, info.dtype, data.dtype)
                assertArrayEquals(info.name, info.sizes, data.shape)
            }
            val made = work(info.inputs.map { it.name }.zip(inputs).toMap())
            return Outcome(info.outputs.map { TensorData.of(it.dtype, it.sizes, made.getValue(it.name)) }, 1)
        }

        override fun close() {
            isClosed = true
        }

        private fun tensor(name: String, shape: IntArray, isInteger: Boolean) = TensorInfo(
            name, if (isInteger) DType.INT32 else DType.FLOAT32, shape.map { it.toString() }, null, 0.0,
        )
    }

    private fun opener(vararg toys: Pair<String, Toy>) =
        Opener { name -> toys.toMap().getValue(name).let { Callee(it.info, it) } }

    private fun shape(vararg sizes: Int) = sizes

    private val files = mapOf(
        "labels.txt" to "cat\ndog\ncow\n",
        "tokens.pieces" to "edgepack pieces 1\n" +
            listOf(
                "0\tcontrol\t<pad>", "0\tunknown\t<unk>", "0\tcontrol\t<s>", "0\tcontrol\t</s>",
                "-1\tnormal\t▁a", "-1\tnormal\t▁b", "-1\tnormal\t▁c", "-9\tnormal\t▁",
            ).joinToString("\n") + "\n",
        "bytes.pieces" to "edgepack pieces 1\n" +
            listOf("0\tcontrol\t<|end|>", "0\tnormal\tĠyes", "0\tnormal\tĠno", "0\tcontrol\t<|start|>")
                .joinToString("\n") + "\n",
    )

    private val read = mutableListOf<String>()

    private fun file(name: String): ByteArray {
        read += name
        return files.getValue(name).toByteArray()
    }

    @Test
    fun whatWasOpenedTogetherIsClosedTheLastFirst() {
        val closed = mutableListOf<Int>()
        val opened = Opened()
        val (first, second) = opened.keepAll { List(2) { AutoCloseable { closed += it } } }
        assertSame(second, opened.keep { second })
        assertThrows(LinkageError::class.java) { opened.keep<AutoCloseable> { throw LinkageError("no library") } }
        assertEquals(listOf(1, 1, 0), closed)
        first.close()
        assertEquals(listOf(1, 1, 0, 0), closed)
    }

    @Test
    fun aPictureIsNamed() {
        val toy = Toy(mapOf("x" to shape(1, 3, 2, 2)), mapOf("y" to shape(1, 3))) { inputs ->
            val means = inputs.getValue("x").numbers().toList().chunked(4).map { it.average() }
            mapOf("y" to means.toDoubleArray())
        }
        val task = JSONObject(
            """{"kind": "image-classification", "model": "m", "input": "x", "output": "y",
            "image": {"width": 2, "height": 2, "channels": 3, "layout": "channels-first", "dtype": "float32",
                "resize": 0, "interpolation": "bilinear", "color": "rgb", "scale": 1, "mean": [0], "std": [1]},
            "classes": {"labels": "labels.txt", "activation": "none", "top": 2}}""",
        )
        val classifier = Classifier(task, ::file, opener("m" to toy))
        val found = classifier.classify(Pixels(2, 2, 3, ByteArray(12) { if (it % 3 == 1) 100 else 7 })).classes
        assertEquals(listOf(Named("dog", 100.0), Named("cat", 7.0)), found)
        classifier.close()
        assertTrue(toy.isClosed)
    }

    private val decoderNames = """{"model": "d", "token": "t", "position": "p", "logits": "l",
        "carried": [{"input": "k", "output": "nk"}], "given": ["e"]}"""

    /** Writes down tokens e[place] until place 3; its cache counts the calls. */
    private fun decoder(vocabulary: Int, end: Int) = Toy(
        mapOf("t" to shape(1), "p" to shape(1), "k" to shape(1), "e" to shape(1, 6)),
        mapOf("l" to shape(1, vocabulary), "nk" to shape(1)),
        setOf("t", "p"),
    ) { inputs ->
        val place = inputs.getValue("p").ints()[0]
        assertEquals(place.toFloat(), inputs.getValue("k").floats()[0], 0f)
        val next = if (place == 3) end else inputs.getValue("e").floats()[place].toInt()
        mapOf("l" to DoubleArray(vocabulary) { if (it == next) 5.0 else 0.0 }, "nk" to doubleArrayOf(place + 1.0))
    }

    @Test
    fun aTextIsTranslatedLineByLine() {
        val encoder = Toy(mapOf("ids" to shape(1, 6), "m" to shape(1, 6)), mapOf("e" to shape(1, 6)), setOf("ids")) {
            mapOf("e" to DoubleArray(6) { place -> it.getValue("ids").ints().getOrElse(place + 1) { 0 }.toDouble() })
        }
        val decoder = decoder(8, 3)
        val task = JSONObject(
            """{"kind": "translation", "languages": [{"name": "Spanish", "token": 7}],
            "tokenizer": {"type": "unigram", "pieces": "tokens.pieces", "rules": "", "add_dummy_prefix": true,
                "remove_extra_whitespaces": true, "byte_fallback": false, "unknown_surface": " ⁇ ",
                "before": [], "after": []},
            "encoder": {"model": "e", "tokens": "ids", "mask": "m", "length": 6, "filler": 0, "end": [3]},
            "generation": {"start": [2], "end": 3, "longest": 6, "suppressed": [], "suppressed_first": [],
                "beams": 2, "length_penalty": 0.6}}""",
        ).put("decoder", JSONObject(decoderNames))
        assertThrows(NoSuchElementException::class.java) { Translator(task, ::file, opener("e" to encoder)) }
        assertTrue(encoder.isClosed)
        read.clear()
        val translator = Translator(task, ::file, opener("e" to encoder, "d" to decoder))
        assertEquals(listOf("tokens.pieces"), read)
        val language = translator.languages.single()
        assertEquals("Spanish", language.name)
        val (ids, isWhole) = translator.source("a b c", language)
        assertArrayEquals(intArrayOf(7, 4, 5, 6, 3), ids)
        assertTrue(isWhole)
        assertFalse(translator.source("a b c a b", language).second)
        val made = translator.translate("c b a\n\na b c a b c", language)
        assertEquals("c b a\n\na b c", made.text)
        assertTrue(made.isCut)
        assertFalse(translator.translate("a b c", null).isCut)
        assertArrayEquals(floatArrayOf(1f, 1f, 1f, 1f, 1f, 0f), encoder.seen.first()[1].floats(), 0f)
        assertSame(decoder.seen[0][3], decoder.seen[1][3])
        translator.close()
        assertTrue(decoder.isClosed)
    }

    @Test
    fun speechIsFoundAndWritten() {
        val detector = Toy(
            mapOf("x" to shape(1, 6), "h" to shape(1, 1)), mapOf("p" to shape(1, 1), "nh" to shape(1, 1)),
        ) { inputs ->
            val loud = inputs.getValue("x").floats().takeLast(4).any { it > 0.5f }
            mapOf(
                "p" to doubleArrayOf(if (loud) 0.9 else 0.1),
                "nh" to doubleArrayOf(inputs.getValue("h").floats()[0] + 1.0),
            )
        }
        val encoder = Toy(mapOf("mel" to shape(1, 5, 5)), mapOf("e" to shape(1, 6))) {
            mapOf("e" to doubleArrayOf(0.0, 1.0, 2.0, 0.0, 0.0, 0.0))
        }
        val task = JSONObject(
            """{"kind": "voice",
            "detector": {"model": "v", "input": "x", "output": "p", "carried": [{"input": "h", "output": "nh"}],
                "frames": {"sample_rate": 1000, "size": 6, "hop": 4, "before": 2, "tail": "pad"}},
            "speech": {"sample_rate": 1000, "frame": 4, "threshold": 0.5, "release": 0.3, "min_speech_ms": 4,
                "min_silence_ms": 8, "pad_ms": 0, "longest_ms": 0},
            "features": {"sample_rate": 1000, "length": 20, "window": 8, "hop": 4, "center": "reflect",
                "drop_last": true, "power": 2, "bands": 0, "mel_scale": "slaney", "mel_norm": "area",
                "low_hz": 0, "high_hz": 500, "log": "log10", "floor": 1e-10, "range": 8, "offset": 4,
                "scale": 0.25, "layout": "bands-first"},
            "encoder": {"model": "e", "input": "mel"},
            "tokenizer": {"type": "byte-level", "pieces": "bytes.pieces"},
            "generation": {"start": [3, 3], "end": 0, "longest": 6, "suppressed": [], "suppressed_first": [],
                "beams": 1, "length_penalty": 0.6}}""",
        ).put("decoder", JSONObject(decoderNames))
        assertThrows(NoSuchElementException::class.java) {
            Transcriber(task, ::file, opener("v" to detector, "e" to encoder))
        }
        assertTrue(detector.isClosed && encoder.isClosed)
        val transcriber = Transcriber(task, ::file, opener("v" to detector, "e" to encoder, "d" to decoder(4, 0)))
        val sound = FloatArray(100) { if (it in 20 until 36 || it in 60 until 72) 0.9f else 0f }
        assertEquals(listOf(0.1f, 0.9f), transcriber.probabilities(sound).slice(listOf(0, 6)))
        assertEquals(24.0, detector.seen.last()[1].floats()[0].toDouble(), 0.0)
        val made = transcriber.transcribe(sound)
        assertEquals("yes no yes no", made.text)
        assertEquals(listOf(0.02 to 0.036, 0.06 to 0.072), made.utterances.map { it.startSeconds to it.endSeconds })
        assertEquals(listOf("find speech", "spectrogram", "encoder", "decoder, a token"), made.steps.map { it.name })
        assertEquals(listOf(1, 2, 2, 8), made.steps.map { it.calls })
        assertEquals(made.text, transcriber.transcribe(FloatArray(200) { sound[it / 2] }, 2000).text)
        assertArrayEquals(intArrayOf(1, 2), made.utterances.first().tokens)
    }
}
