package dev.edgepack.app.core

import org.json.JSONArray
import org.json.JSONObject

// The settings as edgepack.json holds them. Every key is there: defaults were filled in when it was made.

fun readImageInput(entry: JSONObject): ImageInput = ImageInput(
    width = entry.getInt("width"),
    height = entry.getInt("height"),
    channels = entry.getInt("channels"),
    channelsFirst = choice(entry, "layout", "channels-first", "channels-last") == "channels-first",
    dtype = DType.of(entry.getString("dtype")),
    resize = entry.getInt("resize"),
    interpolation = Interpolation.of(entry.getString("interpolation")),
    color = choice(entry, "color", "rgb", "bgr", "gray"),
    scale = entry.getDouble("scale"),
    mean = doubles(entry.getJSONArray("mean")),
    std = doubles(entry.getJSONArray("std")),
)

fun readFrames(entry: JSONObject): Frames = Frames(
    sampleRate = entry.getInt("sample_rate"),
    size = entry.getInt("size"),
    hop = entry.getInt("hop"),
    before = entry.getInt("before"),
    pad = choice(entry, "tail", "pad", "drop") == "pad",
)

fun readLogMel(entry: JSONObject): LogMel = LogMel(
    sampleRate = entry.getInt("sample_rate"),
    length = entry.getInt("length"),
    window = entry.getInt("window"),
    hop = entry.getInt("hop"),
    center = choice(entry, "center", "reflect", "zeros", "none"),
    dropLast = entry.getBoolean("drop_last"),
    power = entry.getInt("power"),
    bands = entry.getInt("bands"),
    melScale = choice(entry, "mel_scale", "slaney", "htk"),
    melNorm = choice(entry, "mel_norm", "area", "peak"),
    lowHz = entry.getDouble("low_hz"),
    highHz = entry.getDouble("high_hz"),
    log = choice(entry, "log", "log10", "ln", "none"),
    floor = entry.getDouble("floor"),
    range = entry.getDouble("range"),
    offset = entry.getDouble("offset"),
    scale = entry.getDouble("scale"),
    bandsFirst = choice(entry, "layout", "bands-first", "frames-first") == "bands-first",
)

/** What encodes text; `read` gives a file beside the manifest by its name. */
fun readEncoder(entry: JSONObject, read: (String) -> ByteArray): TextEncoder =
    when (val type = entry.getString("type")) {
        "unigram" -> Unigram(readUnigram(entry), read)
        "wordpiece" -> WordPiece(readWordPiece(entry), read)
        else -> throw IllegalArgumentException("a tokenizer of type $type encodes no text")
    }

/** What decodes ids; `read` gives a file beside the manifest by its name. */
fun readDecoder(entry: JSONObject, read: (String) -> ByteArray): TextDecoder =
    when (val type = entry.getString("type")) {
        "unigram" -> Unigram(readUnigram(entry), read)
        "byte-level" -> ByteLevel(read(entry.getString("pieces")))
        else -> throw IllegalArgumentException("a tokenizer of type $type decodes no ids")
    }

private fun readUnigram(entry: JSONObject): UnigramSettings = UnigramSettings(
    pieces = entry.getString("pieces"),
    rules = entry.getString("rules"),
    addDummyPrefix = entry.getBoolean("add_dummy_prefix"),
    removeExtraWhitespaces = entry.getBoolean("remove_extra_whitespaces"),
    byteFallback = entry.getBoolean("byte_fallback"),
    unknownSurface = entry.getString("unknown_surface"),
    before = ints(entry.getJSONArray("before")),
    after = ints(entry.getJSONArray("after")),
)

private fun readWordPiece(entry: JSONObject): WordPieceSettings = WordPieceSettings(
    pieces = entry.getString("pieces"),
    characters = entry.getString("characters"),
    unknown = entry.getString("unknown"),
    continuing = entry.getString("continuing"),
    longestWord = entry.getInt("longest_word"),
    before = ints(entry.getJSONArray("before")),
    after = ints(entry.getJSONArray("after")),
)

fun readGeneration(entry: JSONObject): Generation = Generation(
    start = ints(entry.getJSONArray("start")),
    end = entry.getInt("end"),
    longest = entry.getInt("longest"),
    suppressed = ints(entry.getJSONArray("suppressed")),
    suppressedFirst = ints(entry.getJSONArray("suppressed_first")),
    beams = entry.getInt("beams"),
    lengthPenalty = entry.getDouble("length_penalty"),
)

fun readCarried(entry: JSONObject): Carried = Carried(entry.getString("input"), entry.getString("output"))

fun readSpeech(entry: JSONObject): Speech = Speech(
    sampleRate = entry.getInt("sample_rate"),
    frame = entry.getInt("frame"),
    threshold = entry.getDouble("threshold"),
    release = entry.getDouble("release"),
    minSpeechMs = entry.getInt("min_speech_ms"),
    minSilenceMs = entry.getInt("min_silence_ms"),
    padMs = entry.getInt("pad_ms"),
    longestMs = entry.getInt("longest_ms"),
)

fun readClasses(entry: JSONObject): Classes = Classes(
    labels = entry.getString("labels"),
    activation = choice(entry, "activation", "softmax", "sigmoid", "none"),
    top = entry.getInt("top"),
)

private fun choice(entry: JSONObject, key: String, vararg known: String): String {
    val word = entry.getString(key)
    require(word in known) { "unknown $key $word" }
    return word
}

private fun ints(array: JSONArray): IntArray = IntArray(array.length()) { array.getInt(it) }

private fun doubles(array: JSONArray): List<Double> = List(array.length()) { array.getDouble(it) }
