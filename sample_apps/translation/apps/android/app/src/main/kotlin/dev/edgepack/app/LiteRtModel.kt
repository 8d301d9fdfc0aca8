package dev.edgepack.app

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import dev.edgepack.app.core.DType
import dev.edgepack.app.core.Model
import dev.edgepack.app.core.ModelInfo
import dev.edgepack.app.core.Opened
import dev.edgepack.app.core.Outcome
import dev.edgepack.app.core.TensorData
import dev.edgepack.app.core.TensorInfo
import dev.edgepack.app.core.verify

// As many as edgepack measures with; LiteRT itself takes one.
private const val THREADS = 2

/** Check the model's digest and compile it for the CPU, as it was measured when it was built. */
fun openModel(context: Context, info: ModelInfo): Model {
    val path = "$ASSETS/${info.file}"
    verify(context.assets.open(path), info.sha256, info.file)
    val options = CompiledModel.Options(Accelerator.CPU).apply {
        cpuOptions = CompiledModel.CpuOptions(numThreads = THREADS)
    }
    return LiteRtModel(info) { CompiledModel.create(context.assets, path, options) }
}

/** LiteRT reads its models from the app's assets: none of an older version can be left. */
fun removeOldModels(context: Context, infos: List<ModelInfo>) = Unit

private class LiteRtModel(private val info: ModelInfo, compile: () -> CompiledModel) : Model {
    // Names go to native code as modified UTF-8, which is UTF-8 only within the basic plane; a model
    // with other names goes by position.
    private val named = (info.inputs + info.outputs).none { tensor -> tensor.name.any { it.isSurrogate() } }
    private val opened = Opened()
    private val compiled = opened.keep(compile)
    private val inputs: List<TensorBuffer> =
        if (named) {
            info.inputs.map { opened.keep { compiled.createInputBuffer(it.name) } }
        } else {
            opened.keepAll { compiled.createInputBuffers() }
        }
    private val outputs: List<TensorBuffer> =
        if (named) {
            info.outputs.map { opened.keep { compiled.createOutputBuffer(it.name) } }
        } else {
            opened.keepAll { compiled.createOutputBuffers() }
        }

    // What each input buffer holds: a decoder gets the same encoder's output with every token.
    private val held = arrayOfNulls<TensorData>(inputs.size)

    override fun run(inputs: List<TensorData>): Outcome {
        inputs.forEachIndexed { index, data ->
            if (held[index] !== data) write(this.inputs[index], data)
            held[index] = data
        }
        val start = System.nanoTime()
        if (named) {
            compiled.run(
                info.inputs.map { it.name }.zip(this.inputs).toMap(),
                info.outputs.map { it.name }.zip(outputs).toMap(),
            )
        } else {
            compiled.run(this.inputs, outputs)
        }
        val nanos = System.nanoTime() - start
        return Outcome(info.outputs.mapIndexed { index, output -> read(outputs[index], output) }, nanos)
    }

    override fun close() = opened.close()

    private fun write(buffer: TensorBuffer, data: TensorData) = when (data.dtype) {
        DType.FLOAT32 -> buffer.writeFloat(data.floats())
        DType.INT32 -> buffer.writeInt(data.ints())
        DType.INT64 -> buffer.writeLong(data.longs())
        DType.INT8, DType.UINT8 -> buffer.writeInt8(data.bytes())
        DType.BOOL -> buffer.writeBoolean(data.booleans())
        else -> throw IllegalArgumentException("LiteRT takes no ${data.dtype.label}")
    }

    private fun read(buffer: TensorBuffer, output: TensorInfo): TensorData {
        val stored: Any = when (output.dtype) {
            DType.FLOAT32 -> buffer.readFloat()
            DType.INT32 -> buffer.readInt()
            DType.INT64 -> buffer.readLong()
            DType.INT8, DType.UINT8 -> buffer.readInt8()
            DType.BOOL -> buffer.readBoolean()
            else -> throw IllegalArgumentException("LiteRT gives no ${output.dtype.label}")
        }
        return TensorData.given(output.dtype, output.sizes, stored)
    }
}
