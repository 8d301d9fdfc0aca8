package dev.edgepack.app

import android.content.Context
import dev.edgepack.app.core.DType
import dev.edgepack.app.core.Model
import dev.edgepack.app.core.ModelInfo
import dev.edgepack.app.core.Outcome
import dev.edgepack.app.core.TensorData
import dev.edgepack.app.core.TensorInfo
import dev.edgepack.app.core.install
import dev.edgepack.app.core.removeOthers
import java.io.File
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/** Check the model's digest, put it where the runtime can map it, and load it. */
fun openModel(context: Context, info: ModelInfo): Model {
    val file = install(folder(context), info.sha256, ".pte") { context.assets.open("$ASSETS/${info.file}") }
    return ExecuTorchModel(Module.load(file.path, Module.LOAD_MODE_MMAP), info)
}

/** Remove the files of models that an older version of the app had. */
fun removeOldModels(context: Context, infos: List<ModelInfo>) = removeOthers(folder(context), infos.map { it.sha256 })

private fun folder(context: Context): File = File(context.noBackupFilesDir, "models")

private class ExecuTorchModel(private val module: Module, private val info: ModelInfo) : Model {
    // What was fed last, and the tensor made of it: a decoder gets the same encoder's output with every token.
    private val held = arrayOfNulls<TensorData>(info.inputs.size)
    private val arguments = arrayOfNulls<EValue>(info.inputs.size)

    override fun run(inputs: List<TensorData>): Outcome {
        inputs.forEachIndexed { index, data ->
            if (held[index] !== data) arguments[index] = EValue.from(tensor(data))
            held[index] = data
        }
        val start = System.nanoTime()
        val results = module.forward(*arguments.requireNoNulls())
        val nanos = System.nanoTime() - start
        return Outcome(info.outputs.mapIndexed { index, output -> read(results[index].toTensor(), output) }, nanos)
    }

    override fun close() = module.destroy()

    private fun tensor(data: TensorData): Tensor {
        val shape = LongArray(data.shape.size) { data.shape[it].toLong() }
        return when (data.dtype) {
            DType.FLOAT32 -> Tensor.fromBlob(data.floats(), shape)
            DType.FLOAT16 -> Tensor.fromBlob(data.shorts(), shape)
            DType.FLOAT64 -> Tensor.fromBlob(data.doubles(), shape)
            DType.INT64 -> Tensor.fromBlob(data.longs(), shape)
            DType.INT32 -> Tensor.fromBlob(data.ints(), shape)
            DType.INT8 -> Tensor.fromBlob(data.bytes(), shape)
            DType.UINT8 -> Tensor.fromBlobUnsigned(data.bytes(), shape)
            else -> throw IllegalArgumentException("ExecuTorch takes no ${data.dtype.label} from Kotlin")
        }
    }

    private fun read(tensor: Tensor, output: TensorInfo): TensorData {
        val stored: Any = when (output.dtype) {
            DType.FLOAT32 -> tensor.dataAsFloatArray
            DType.FLOAT16 -> tensor.dataAsShortArray
            DType.FLOAT64 -> tensor.dataAsDoubleArray
            DType.INT64 -> tensor.dataAsLongArray
            DType.INT32 -> tensor.dataAsIntArray
            DType.INT8 -> tensor.dataAsByteArray
            DType.UINT8 -> tensor.dataAsUnsignedByteArray
            else -> throw IllegalArgumentException("ExecuTorch gives no ${output.dtype.label} to Kotlin")
        }
        val shape = tensor.shape()
        return TensorData.given(output.dtype, IntArray(shape.size) { shape[it].toInt() }, stored)
    }
}
