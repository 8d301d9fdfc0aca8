// See fbjni.kt.
package com.facebook.jni.annotations

annotation class DoNotStrip
