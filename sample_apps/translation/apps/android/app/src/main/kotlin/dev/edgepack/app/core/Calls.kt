package dev.edgepack.app.core

import org.json.JSONArray
import org.json.JSONObject

/** A loaded model whose tensors go by their names. */
class Callee(val info: ModelInfo, private val model: Model) : AutoCloseable {
    fun input(name: String): TensorInfo = named(info.inputs, name)

    fun output(name: String): TensorInfo = named(info.outputs, name)

    /** One call; what is given must be every input, in the sizes that the model takes. */
    fun call(given: Map<String, TensorData>): Map<String, TensorData> {
        val outcome = model.run(info.inputs.map { given.getValue(it.name) })
        return info.outputs.map { it.name }.zip(outcome.outputs).toMap()
    }

    /** The first state of a model that carries some, by the names of its inputs. */
    fun zeros(carried: List<Carried>): Map<String, TensorData> =
        carried.associate { one -> one.input to input(one.input).let { TensorData.zeros(it.dtype, it.sizes) } }

    override fun close() = model.close()

    private fun named(tensors: List<TensorInfo>, name: String): TensorInfo =
        tensors.firstOrNull { it.name == name } ?: throw IllegalArgumentException("${info.name} has no tensor $name")
}

/** What opens a model of the app by its name. */
fun interface Opener {
    fun open(name: String): Callee
}

/** What was opened together: closed together, the last first, also when one more cannot be opened. */
class Opened : AutoCloseable {
    private val things = mutableListOf<AutoCloseable>()

    /** What `make` gives; if it throws, everything that was kept before is closed. */
    fun <T : AutoCloseable> keep(make: () -> T): T = keepAll { listOf(make()) }.single()

    /** The same for several at once. */
    fun <T : AutoCloseable> keepAll(make: () -> List<T>): List<T> = try {
        make().also { things += it }
    } catch (error: Throwable) {
        close()
        throw error
    }

    override fun close() = things.asReversed().forEach { it.close() }
}

/** Names of a decoder's tensors. position: "" if it has none; given: those that the encoder made. */
class DecoderNames(
    val model: String,
    val token: String,
    val position: String,
    val logits: String,
    val carried: List<Carried>,
    val given: List<String>,
)

fun readDecoderNames(entry: JSONObject): DecoderNames = DecoderNames(
    model = entry.getString("model"),
    token = entry.getString("token"),
    position = entry.getString("position"),
    logits = entry.getString("logits"),
    carried = readCarriedList(entry.getJSONArray("carried")),
    given = entry.getJSONArray("given").let { names -> List(names.length()) { names.getString(it) } },
)

fun readCarriedList(entries: JSONArray): List<Carried> = objects(entries).map(::readCarried)

/** A decoder as one step after the other. Its state is what it carries; nothing of it is copied. */
class DecoderStep(
    private val decoder: Callee,
    private val names: DecoderNames,
    encoded: Map<String, TensorData>,
) : Step<Map<String, TensorData>> {
    private val given = names.given.associateWith { encoded.getValue(it) }

    /** The state before the first token. */
    val start: Map<String, TensorData> = decoder.zeros(names.carried)

    override fun run(state: Map<String, TensorData>, token: Int, place: Int): Stepped<Map<String, TensorData>> {
        val inputs = LinkedHashMap(given)
        inputs += state
        inputs[names.token] = number(decoder.input(names.token), token)
        if (names.position.isNotEmpty()) inputs[names.position] = number(decoder.input(names.position), place)
        val outputs = decoder.call(inputs)
        val logits = decoder.output(names.logits).real(outputs.getValue(names.logits))
        val next = names.carried.associate { it.input to outputs.getValue(it.output) }
        return Stepped(FloatArray(logits.size) { logits[it].toFloat() }, next)
    }

    private fun number(info: TensorInfo, value: Int): TensorData =
        TensorData.of(info.dtype, info.sizes, doubleArrayOf(value.toDouble()))
}

/** Milliseconds that `work` takes, and what it gives. */
fun <T> timed(work: () -> T): Pair<T, Double> {
    val start = System.nanoTime()
    val made = work()
    return made to (System.nanoTime() - start) / 1e6
}
