"""Typos that a template could have, the app in which each is made, and what its rung says of it."""

from __future__ import annotations

from dataclasses import dataclass

Edit = tuple[str, str, str]
"""A file of a project, a text in it, and what is put in its place."""

CODE = "app/src/main/kotlin/dev/edgepack/app"


@dataclass(frozen=True, slots=True)
class Typo:
    """words: of the compiler's. where: for Swift the module and language mode that refuse it."""

    target: str
    task: str
    edit: Edit
    words: str
    where: str = ""


def _kotlin(name: str, old: str, new: str) -> Edit:
    return f"{CODE}/{name}.kt", old, new


def _swift(name: str, old: str, new: str) -> Edit:
    return f"EdgepackApp/{name}.swift", old, new


APP_5, APP_6 = "EdgepackApp in Swift 5 mode", "EdgepackApp in Swift 6 mode"

ANDROID: dict[str, Typo] = {
    "a method of Android": Typo(
        "litert", "generic", _kotlin("CheckActivity", "setTextColor(", "setTextColour("),
        "unresolved reference 'setTextColour'",
    ),
    "a method that Android deprecates": Typo(
        "litert", "generic", _kotlin("CheckActivity", "getColor(color)", "resources.getColor(color)"),
        "deprecated",
    ),
    "a constant of a newer Android": Typo(
        "litert", "generic", _kotlin("Screen", "VERSION_CODES.R)", "VERSION_CODES.BAKLAVA)"),
        "unresolved reference 'BAKLAVA'",
    ),
    "null where Android takes none": Typo(
        "litert", "generic", _kotlin("Check", 'open("$ASSETS/$name")', "open(null)"), "null",
    ),
    "a method of a newer Java": Typo(
        "litert", "generic",
        _kotlin("Check", 'asset(context, "edgepack.json")', 'asset(context, java.util.List.of("x")[0])'),
        "unresolved reference 'of'",
    ),
    "a view that no layout has": Typo(
        "litert", "generic", _kotlin("CheckActivity", "R.id.root)", "R.id.roots)"),
        "unresolved reference 'roots'",
    ),
    "a method of LiteRT": Typo(
        "litert", "generic", _kotlin("LiteRtModel", ".writeFloat(", ".writeFloats("),
        "unresolved reference 'writeFloats'",
    ),
    "a method that ExecuTorch lost": Typo(
        "executorch", "generic", _kotlin("ExecuTorchModel", "module.forward(", "module.forwards("),
        "unresolved reference 'forwards'",
    ),
    "a method that ExecuTorch got late": Typo(
        "executorch", "generic", _kotlin("ExecuTorchModel", "module.destroy()", "module.close()"),
        "unresolved reference 'close'",
    ),
    "a test for devices": Typo(
        "litert", "generic",
        ("app/src/androidTest/kotlin/dev/edgepack/app/GoldenTest.kt", "targetContext", "testContext"),
        "unresolved reference 'testContext'",
    ),
    "a name that is not used": Typo(
        "litert", "generic", _kotlin("Check", "val start = System", "val begun = 1\n    val start = System"),
        "warning: variable is unused",
    ),
    "Android in the core": Typo(
        "litert", "generic",
        _kotlin("core/Metrics", "import kotlin.math.abs\n", "import android.util.Log\nimport kotlin.math.abs\n"),
        f"{CODE}/core/Metrics.kt:3:",
    ),
    "a method of the camera": Typo(
        "litert", "image-classification",
        _kotlin("Camera", ".setRepeatingRequest(", ".setRepeatingRequests("),
        "unresolved reference 'setRepeatingRequests'",
    ),
    "a listener that lacks a method": Typo(
        "litert", "image-classification",
        _kotlin("Camera", "override fun onConfigureFailed(", "fun onConfigurationFailed("),
        "onConfigureFailed",
    ),
    "an intent of photos": Typo(
        "litert", "image-classification",
        _kotlin("ClassifyActivity", "MediaStore.ACTION_PICK_IMAGES", "MediaStore.ACTION_PICK_IMAGE"),
        "unresolved reference 'ACTION_PICK_IMAGE'",
    ),
    "a decoder of photos": Typo(
        "executorch", "image-classification",
        _kotlin("ClassifyActivity", "setTargetSampleSize(", "setTargetSampleRate("),
        "unresolved reference 'setTargetSampleRate'",
    ),
    "a state of the microphone": Typo(
        "litert", "voice", _kotlin("Recorder", "STATE_INITIALIZED", "STATE_INITIALISED"),
        "unresolved reference 'STATE_INITIALISED'",
    ),
    "an array of the microphone": Typo(
        "litert", "voice", _kotlin("Recorder", "ShortArray(rate", "IntArray(rate"),
        "argument type mismatch",
    ),
    "a screen without its parameter": Typo(
        "executorch", "voice", _kotlin("VoiceActivity", "RECORD_AUDIO), 1)", "RECORD_AUDIO))"),
        "no value passed for parameter",
    ),
    "a step of the core": Typo(
        "litert", "voice", _kotlin("VoiceActivity", "made.steps.sumOf", "made.times.sumOf"),
        "unresolved reference 'times'",
    ),
    "a layout of Android": Typo(
        "litert", "translation",
        _kotlin("TranslateActivity", "simple_spinner_dropdown_item", "simple_spinner_dropdown"),
        "unresolved reference 'simple_spinner_dropdown'",
    ),
    "a string of another task": Typo(
        "executorch", "translation", _kotlin("TranslateActivity", "R.string.cut)", "R.string.listening)"),
        "unresolved reference 'listening'",
    ),
    "a language of the core": Typo(
        "litert", "translation", _kotlin("TranslateActivity", "map { it.name }", "map { it.label }"),
        "unresolved reference 'label'",
    ),
}  # fmt: skip

IOS: dict[str, Typo] = {
    "a modifier of SwiftUI": Typo(
        "coreml", "generic", _swift("CheckView", ".foregroundStyle(", ".foregroundStyles("),
        "has no member 'foregroundStyles'", APP_5,
    ),
    "a property of Core ML": Typo(
        "coreml", "generic", _swift("CoreMLModel", "array.strides.map", "array.stride.map"),
        "has no member 'stride'", APP_5,
    ),
    "a method of ExecuTorch": Typo(
        "executorch", "generic", _swift("ExecuTorchModel", "module.forward(", "module.forwards("),
        "has no member 'forwards'", APP_5,
    ),
    "an argument of Foundation": Typo(
        "coreml", "generic", _swift("Check", "withExtension: nil", "extension: nil"), "error: ", APP_5,
    ),
    "state that all threads share": Typo(
        "coreml", "generic", _swift("Check", "/// The same,", "var checks = 0\n\n/// The same,"),
        "is not concurrency-safe", APP_6,
    ),
    "a screen's state off its actor": Typo(
        "coreml", "generic",
        _swift("CheckView", "{ await checked() }", "{ isRunning = false; return await checked() }"),
        "isRunning", "EdgepackApp in Swift",
    ),
    "a name that is not used": Typo(
        "coreml", "generic", _swift("Check", "    let start = ", "    let begun = 1\n    let start = "),
        "begun", APP_5,
    ),
    "a name of the core": Typo(
        "executorch", "generic",
        ("EdgeCore/Sources/EdgeCore/Metrics.swift", "power.squareRoot()", "power.root()"),
        "EdgeCore/Sources/EdgeCore/Metrics.swift:", "EdgeCore in Swift 5 mode",
    ),
    "a test": Typo(
        "executorch", "generic",
        ("EdgepackAppTests/GoldenTests.swift", "await faults()", "await fault()"),
        "GoldenTests.swift:", "EdgepackAppTests in Swift 5 mode",
    ),
    "a property of the camera": Typo(
        "coreml", "image-classification",
        _swift("Camera", "alwaysDiscardsLateVideoFrames", "discardsLateVideoFrames"),
        "has no member 'discardsLateVideoFrames'", APP_5,
    ),
    "a key of a photo": Typo(
        "executorch", "image-classification",
        _swift("Photo", "kCGImageSourceThumbnailMaxPixelSize", "kCGImageSourceThumbnailMaximumPixelSize"),
        "cannot find 'kCGImageSourceThumbnailMaximumPixelSize'", APP_5,
    ),
    "an argument of the photo picker": Typo(
        "coreml", "image-classification", _swift("ClassifyView", "matching: .images", "matching: .image"),
        "has no member 'image'", APP_5,
    ),
    "a camera that belongs to nobody": Typo(
        "coreml", "image-classification", _swift("Camera", ", @unchecked Sendable", ""),
        "Camera", APP_6,
    ),
    "a permission of the microphone": Typo(
        "coreml", "voice", _swift("Recorder", "requestRecordPermission()", "requestPermission()"),
        "has no member 'requestPermission'", APP_5,
    ),
    "sound that two threads share": Typo(
        "executorch", "voice", _swift("Recorder", "class Heard: @unchecked Sendable", "class Heard"),
        "Heard", APP_6,
    ),
    "a text of the core": Typo(
        "coreml", "voice", _swift("VoiceView", "made.text.isEmpty", "made.words.isEmpty"),
        "has no member 'words'", APP_5,
    ),
    "a picker of SwiftUI": Typo(
        "coreml", "translation", _swift("TranslateView", "selection: $chosen", "choice: $chosen"),
        "error: ", APP_5,
    ),
    "a wait that is missing": Typo(
        "executorch", "translation",
        _swift("TranslateView", "try await worker.run", "try worker.run"), "await", "EdgepackApp in Swift",
    ),
    "an engine that is no one's": Typo(
        "coreml", "translation", _swift("Worker", "actor Worker<Engine: Sendable>", "actor Worker<Engine>"),
        "Engine", APP_6,
    ),
}  # fmt: skip

RESOURCES: dict[str, Typo] = {
    "a string": Typo(
        "executorch", "generic",
        ("app/src/main/res/layout/check.xml", "@string/run_again", "@string/run_agin"), "run_agin",
    ),
    "an attribute": Typo(
        "executorch", "generic",
        ("app/src/main/res/layout/check.xml", "android:clipToPadding", "android:clipToPaddings"),
        "clipToPaddings",
    ),
    "an icon": Typo(
        "executorch", "generic",
        ("app/src/main/AndroidManifest.xml", "@mipmap/ic_launcher", "@mipmap/launcher"), "mipmap/launcher",
    ),
    "a theme": Typo(
        "executorch", "generic",
        ("app/src/main/res/values/themes.xml", "style/Theme.Material", "style/Themes.Material"),
        "Themes.Material",
    ),
    "a string of pictures": Typo(
        "litert", "image-classification",
        ("app/src/main/res/layout/classify.xml", "@string/photo", "@string/foto"), "string/foto",
    ),
    "a string of sound": Typo(
        "litert", "voice",
        ("app/src/main/res/values/strings.xml", 'name="record"', 'name="recrod"'), "string/record",
    ),
    "a hint of texts": Typo(
        "litert", "translation",
        ("app/src/main/res/layout/translate.xml", "android:hint", "android:hnit"), "hnit",
    ),
    "a permission too few": Typo(
        "litert", "voice",
        ("app/src/main/AndroidManifest.xml", "permission.RECORD_AUDIO", "permission.RECORD_SOUND"),
        "the manifest declares android.permission.RECORD_SOUND, which the code never asks for",
    ),
    "a permission too many": Typo(
        "litert", "translation",
        ("app/src/main/AndroidManifest.xml", "    <application",
         '    <uses-permission android:name="android.permission.CAMERA" />\n\n    <application'),
        "the manifest declares android.permission.CAMERA, which the code never asks for",
    ),
    "a permission that is missing": Typo(
        "litert", "image-classification",
        ("app/src/main/AndroidManifest.xml",
         '<uses-permission android:name="android.permission.CAMERA" />', "<!-- -->"),
        "the code asks for android.permission.CAMERA, which the manifest does not declare",
    ),
    "what people are told of the camera": Typo(
        "coreml", "image-classification",
        ("Config/App.xcconfig", "INFOPLIST_KEY_NSCameraUsageDescription", "INFOPLIST_KEY_NSCamera"),
        "NSCameraUsageDescription",
    ),
    "what people are told of the microphone": Typo(
        "executorch", "voice",
        ("Config/App.xcconfig", "INFOPLIST_KEY_NSMicrophoneUsageDescription", "INFOPLIST_KEY_NSMic"),
        "NSMicrophoneUsageDescription",
    ),
}  # fmt: skip
