// What ExecuTorch's Java classes need of fbjni and SoLoader, which its library brings: names, so that a
// shrinker finds them. Nothing here runs.
@file:Suppress("UNUSED_PARAMETER", "unused")

package com.facebook.jni

class HybridData private constructor() {
    fun resetNative(): Unit = TODO()

    fun isValid(): Boolean = TODO()
}
