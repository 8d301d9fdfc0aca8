// See fbjni.kt.
@file:Suppress("UNUSED_PARAMETER")

package com.facebook.soloader.nativeloader

interface NativeLoaderDelegate

class SystemDelegate : NativeLoaderDelegate

object NativeLoader {
    @JvmStatic
    fun isInitialized(): Boolean = TODO()

    @JvmStatic
    fun init(delegate: NativeLoaderDelegate): Unit = TODO()

    @JvmStatic
    fun loadLibrary(name: String): Boolean = TODO()
}
