// What generated apps use of ExecuTorch's Android API since 1.4.0, when its Java classes became Kotlin: types
// alone. Apps are compiled against this and against the Java classes of 1.1, so that no line fits only one.
@file:Suppress("UNUSED_PARAMETER")

package org.pytorch.executorch

import java.io.Closeable

open class Module private constructor() : Closeable {
    open fun forward(vararg inputs: EValue): Array<EValue> = TODO()

    open fun execute(methodName: String, vararg inputs: EValue): Array<EValue> = TODO()

    open fun loadMethod(methodName: String): Unit = TODO()

    open fun getMethods(): Array<String> = TODO()

    open fun destroy(): Unit = TODO()

    override fun close(): Unit = TODO()

    companion object {
        const val LOAD_MODE_FILE = 0
        const val LOAD_MODE_MMAP = 1

        @JvmStatic
        @JvmOverloads
        fun load(modelPath: String?, loadMode: Int = LOAD_MODE_FILE, numThreads: Int = 0): Module = TODO()
    }
}

abstract class Tensor internal constructor() {
    fun numel(): Long = TODO()

    fun shape(): LongArray = TODO()

    open val dataAsByteArray: ByteArray get() = TODO()
    open val dataAsShortArray: ShortArray get() = TODO()
    open val dataAsUnsignedByteArray: ByteArray get() = TODO()
    open val dataAsIntArray: IntArray get() = TODO()
    open val dataAsFloatArray: FloatArray get() = TODO()
    open val dataAsLongArray: LongArray get() = TODO()
    open val dataAsDoubleArray: DoubleArray get() = TODO()

    companion object {
        @JvmStatic
        fun fromBlobUnsigned(data: ByteArray, shape: LongArray): Tensor = TODO()

        @JvmStatic
        fun fromBlob(data: ByteArray, shape: LongArray): Tensor = TODO()

        @JvmStatic
        fun fromBlob(data: ShortArray, shape: LongArray): Tensor = TODO()

        @JvmStatic
        fun fromBlob(data: IntArray, shape: LongArray): Tensor = TODO()

        @JvmStatic
        fun fromBlob(data: LongArray, shape: LongArray): Tensor = TODO()

        @JvmStatic
        fun fromBlob(data: FloatArray, shape: LongArray): Tensor = TODO()

        @JvmStatic
        fun fromBlob(data: DoubleArray, shape: LongArray): Tensor = TODO()
    }
}

// Still a Java class in 1.5.
open class EValue private constructor() {
    val isTensor: Boolean get() = TODO()

    fun toTensor(): Tensor = TODO()

    fun toBool(): Boolean = TODO()

    fun toInt(): Long = TODO()

    fun toDouble(): Double = TODO()

    companion object {
        @JvmStatic
        fun from(value: Tensor): EValue = TODO()

        @JvmStatic
        fun from(value: Boolean): EValue = TODO()

        @JvmStatic
        fun from(value: Long): EValue = TODO()

        @JvmStatic
        fun from(value: Double): EValue = TODO()
    }
}
