// Kotlin is built into the Android Gradle Plugin since 9.0: its own plugin must not be applied beside it.
plugins {
    alias(libs.plugins.android.application) apply false
}
