package dev.edgepack.app

import androidx.test.platform.app.InstrumentationRegistry
import dev.edgepack.app.core.Verdict
import org.junit.Assert.assertEquals
import org.junit.Test

/** The app's own check, run on a device: `./gradlew connectedDebugAndroidTest`. */
class GoldenTest {
    @Test
    fun theModelGivesOnThisDeviceWhatItsSourceGave() {
        val report = check(InstrumentationRegistry.getInstrumentation().targetContext)
        assertEquals(report.lines.joinToString("\n"), Verdict.PASS, report.verdict)
    }
}
