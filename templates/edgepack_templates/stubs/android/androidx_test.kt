// What generated tests use of androidx.test.
package androidx.test.platform.app

import android.app.Instrumentation

class InstrumentationRegistry private constructor() {
    companion object {
        @JvmStatic
        fun getInstrumentation(): Instrumentation = TODO()
    }
}
