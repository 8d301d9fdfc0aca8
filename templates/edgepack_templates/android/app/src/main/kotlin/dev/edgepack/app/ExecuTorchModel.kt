package dev.edgepack.app

import android.content.Context
import dev.edgepack.app.core.DType
import dev.edgepack.app.core.Manifest
import dev.edgepack.app.core.Model
import dev.edgepack.app.core.Outcome
import dev.edgepack.app.core.TensorData
import dev.edgepack.app.core.TensorInfo
import dev.edgepack.app.core.install
import dev.edgepack.app.core.numbersOf
import dev.edgepack.app.core.numbersOfHalves
import dev.edgepack.app.core.numbersOfUnsigned
import java.io.File
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/** Check the model's digest, put it where the runtime can map it, and load it. */
fun openModel(context: Context, manifest: Manifest): Model {
    val folder = File(context.noBackupFilesDir, "models")
    val file = install(folder, manifest.sha256, ".pte") { context.assets.open("$ASSETS/${manifest.file}") }
    return ExecuTorchModel(Module.load(file.path, Module.LOAD_MODE_MMAP), manifest)
}

private class ExecuTorchModel(private val module: Module, private val manifest: Manifest) : Model {
    override fun run(inputs: List<TensorData>): Outcome {
        val arguments = inputs.map { EValue.from(tensor(it)) }.toTypedArray()
        val start = System.nanoTime()
        val results = module.forward(*arguments)
        val nanos = System.nanoTime() - start
        return Outcome(manifest.outputs.mapIndexed { index, info -> read(results[index].toTensor(), info) }, nanos)
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
            DType.INT8 -> Tensor.fromBlob(data.bytes, shape)
            DType.UINT8 -> Tensor.fromBlobUnsigned(data.bytes, shape)
            else -> throw IllegalArgumentException("ExecuTorch takes no ${data.dtype.label} from Kotlin")
        }
    }

    private fun read(tensor: Tensor, info: TensorInfo): DoubleArray {
        val stored = when (info.dtype) {
            DType.FLOAT32 -> numbersOf(tensor.dataAsFloatArray)
            DType.FLOAT16 -> numbersOfHalves(tensor.dataAsShortArray)
            DType.FLOAT64 -> tensor.dataAsDoubleArray
            DType.INT64 -> numbersOf(tensor.dataAsLongArray)
            DType.INT32 -> numbersOf(tensor.dataAsIntArray)
            DType.INT8 -> numbersOf(tensor.dataAsByteArray)
            DType.UINT8 -> numbersOfUnsigned(tensor.dataAsUnsignedByteArray)
            else -> throw IllegalArgumentException("ExecuTorch gives no ${info.dtype.label} to Kotlin")
        }
        return info.quantization?.real(stored) ?: stored
    }
}
