package dev.edgepack.app.core

import java.io.InputStream
import org.json.JSONArray
import org.json.JSONObject

/** An affine quantization: real = (stored - zeroPoint) * scale. */
class Quantization(val scale: Double, val zeroPoint: Double) {
    fun real(stored: DoubleArray): DoubleArray =
        DoubleArray(stored.size) { (stored[it] - zeroPoint) * scale }
}

/**
 * One input or output of the model; an axis of its shape is a number or a name.
 *
 * peak: largest absolute number that the source model gave for an output, 0 for an input.
 */
class TensorInfo(
    val name: String,
    val dtype: DType,
    val shape: List<String>,
    val quantization: Quantization?,
    val peak: Double,
) {
    /** Its size along each axis; 1 for one that has a name. */
    val sizes: IntArray = IntArray(shape.size) { shape[it].toIntOrNull() ?: 1 }

    /** The numbers that a tensor of it stands for. */
    fun real(data: TensorData): DoubleArray = data.numbers().let { quantization?.real(it) ?: it }

    override fun toString(): String = "$name ${dtype.label}[${shape.joinToString(", ")}]"
}

/** What edgepack.json says of one model. golden: folder of its golden cases. */
class ModelInfo(
    val name: String,
    val variant: String,
    val file: String,
    val sha256: String,
    val golden: String,
    val inputs: List<TensorInfo>,
    val outputs: List<TensorInfo>,
    val limits: Map<String, Double>,
)

/** What edgepack.json says of the models beside it. task: what the app does with them. */
class Manifest(val task: JSONObject, val runtime: String, val models: List<ModelInfo>) {
    fun model(name: String): ModelInfo = models.first { it.name == name }
}

/** One call of the model with the outputs that the source model gave. */
class GoldenCase(val inputs: List<TensorData>, val outputs: List<TensorData>)

fun readManifest(text: String): Manifest {
    val root = JSONObject(text)
    return Manifest(
        task = root.getJSONObject("task"),
        runtime = root.getJSONObject("runtime").let { "${it.getString("name")} ${it.getString("version")}" },
        models = objects(root.getJSONArray("models")).map(::readModelInfo),
    )
}

private fun readModelInfo(entry: JSONObject): ModelInfo {
    val artifact = entry.getJSONObject("artifact")
    val signature = artifact.getJSONObject("signature")
    val limits = entry.getJSONObject("limits")
    return ModelInfo(
        name = entry.getString("name"),
        variant = entry.getString("variant"),
        file = artifact.getString("file"),
        sha256 = artifact.getString("sha256"),
        golden = entry.getString("golden"),
        inputs = objects(signature.getJSONArray("inputs")).map(::readTensorInfo),
        outputs = objects(signature.getJSONArray("outputs")).map(::readTensorInfo),
        limits = limits.keys().asSequence().associateWith { limits.getDouble(it) },
    )
}

/** The golden cases; `open` gives a file by its name in the folder of golden.json. */
fun readGolden(text: String, open: (String) -> InputStream): List<GoldenCase> {
    val read = { entry: JSONObject ->
        val bytes = open(entry.getString("file")).use { it.readBytes() }
        TensorData(DType.of(entry.getString("dtype")), sizes(entry.getJSONArray("shape")), bytes)
    }
    return objects(JSONObject(text).getJSONArray("cases")).map { case ->
        GoldenCase(
            objects(case.getJSONArray("inputs")).map(read),
            objects(case.getJSONArray("outputs")).map(read),
        )
    }
}

private fun readTensorInfo(entry: JSONObject): TensorInfo {
    val shape = entry.getJSONArray("shape")
    val quantization = entry.optJSONObject("quantization")
    return TensorInfo(
        name = entry.getString("name"),
        dtype = DType.of(entry.getString("dtype")),
        shape = List(shape.length()) { shape.get(it).toString() },
        quantization = quantization?.let { Quantization(it.getDouble("scale"), it.getDouble("zero_point")) },
        peak = entry.optDouble("peak", 0.0),
    )
}

fun objects(array: JSONArray): List<JSONObject> =
    List(array.length()) { array.getJSONObject(it) }

private fun sizes(array: JSONArray): IntArray = IntArray(array.length()) { array.getInt(it) }
