plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "dev.edgepack.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "com.example.vision"
        minSdk = 28
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
        ndk {
            abiFilters += listOf("arm64-v8a", "x86_64")
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    // A stored model can be mapped into memory; a compressed one would be unpacked first.
    androidResources {
        noCompress += listOf("tflite", "pte", "ptd")
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
        }
    }
}

dependencies {
    implementation(libs.runtime)
    testImplementation(libs.junit)
    testImplementation(libs.json)
    androidTestImplementation(libs.junit)
    androidTestImplementation(libs.test.runner)
}
