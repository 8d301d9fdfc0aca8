package dev.edgepack.app

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import dev.edgepack.app.core.DType
import dev.edgepack.app.core.Manifest
import dev.edgepack.app.core.Model
import dev.edgepack.app.core.Outcome
import dev.edgepack.app.core.TensorData
import dev.edgepack.app.core.TensorInfo
import dev.edgepack.app.core.numbersOf
import dev.edgepack.app.core.numbersOfUnsigned
import dev.edgepack.app.core.verify

/** Check the model's digest and compile it for the CPU, as it was measured when it was built. */
fun openModel(context: Context, manifest: Manifest): Model {
    val path = "$ASSETS/${manifest.file}"
    verify(context.assets.open(path), manifest.sha256)
    return LiteRtModel(
        CompiledModel.create(context.assets, path, CompiledModel.Options(Accelerator.CPU)),
        manifest,
    )
}

private class LiteRtModel(private val compiled: CompiledModel, private val manifest: Manifest) : Model {
    // Names go to native code as modified UTF-8, which is UTF-8 only within the basic plane; a model
    // with other names goes by position.
    private val named = (manifest.inputs + manifest.outputs).none { info -> info.name.any { it.isSurrogate() } }
    private val inputs: List<TensorBuffer> =
        if (named) manifest.inputs.map { compiled.createInputBuffer(it.name) } else compiled.createInputBuffers()
    private val outputs: List<TensorBuffer> =
        if (named) manifest.outputs.map { compiled.createOutputBuffer(it.name) } else compiled.createOutputBuffers()

    override fun run(inputs: List<TensorData>): Outcome {
        inputs.forEachIndexed { index, data -> write(this.inputs[index], data) }
        val start = System.nanoTime()
        if (named) {
            compiled.run(
                manifest.inputs.map { it.name }.zip(this.inputs).toMap(),
                manifest.outputs.map { it.name }.zip(outputs).toMap(),
            )
        } else {
            compiled.run(this.inputs, outputs)
        }
        val nanos = System.nanoTime() - start
        return Outcome(manifest.outputs.mapIndexed { index, info -> read(outputs[index], info) }, nanos)
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        compiled.close()
    }

    private fun write(buffer: TensorBuffer, data: TensorData) = when (data.dtype) {
        DType.FLOAT32 -> buffer.writeFloat(data.floats())
        DType.INT32 -> buffer.writeInt(data.ints())
        DType.INT64 -> buffer.writeLong(data.longs())
        DType.INT8, DType.UINT8 -> buffer.writeInt8(data.bytes)
        DType.BOOL -> buffer.writeBoolean(data.booleans())
        else -> throw IllegalArgumentException("LiteRT takes no ${data.dtype.label}")
    }

    private fun read(buffer: TensorBuffer, info: TensorInfo): DoubleArray {
        val stored = when (info.dtype) {
            DType.FLOAT32 -> numbersOf(buffer.readFloat())
            DType.INT32 -> numbersOf(buffer.readInt())
            DType.INT64 -> numbersOf(buffer.readLong())
            DType.INT8 -> numbersOf(buffer.readInt8())
            DType.UINT8 -> numbersOfUnsigned(buffer.readInt8())
            DType.BOOL -> numbersOf(buffer.readBoolean())
            else -> throw IllegalArgumentException("LiteRT gives no ${info.dtype.label}")
        }
        return info.quantization?.real(stored) ?: stored
    }
}
