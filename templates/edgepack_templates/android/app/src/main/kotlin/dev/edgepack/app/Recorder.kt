package dev.edgepack.app

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import dev.edgepack.app.core.fromPcm16

/** The microphone at 16 kHz, one channel, which every Android device has. */
class Recorder {
    val rate = 16000

    @Volatile
    private var isStopped = false

    /** Whether the recording ended by itself, after a minute. */
    @Volatile
    var isFull = false
        private set

    /** Samples until `stop` is called, a minute at most; null if the microphone cannot be had. Waits. */
    // The screen asks for the permission before it records.
    @SuppressLint("MissingPermission")
    fun record(): FloatArray? {
        val channel = AudioFormat.CHANNEL_IN_MONO
        val encoding = AudioFormat.ENCODING_PCM_16BIT
        val least = AudioRecord.getMinBufferSize(rate, channel, encoding)
        if (least <= 0) return null
        val source = MediaRecorder.AudioSource.VOICE_RECOGNITION
        val microphone = AudioRecord(source, rate, channel, encoding, maxOf(least, rate))
        try {
            if (microphone.state != AudioRecord.STATE_INITIALIZED) return null
            microphone.startRecording()
            // Another app that records may keep it from starting, and nothing is thrown.
            if (microphone.recordingState != AudioRecord.RECORDSTATE_RECORDING) return null
            val samples = ShortArray(rate * LONGEST_SECONDS)
            var filled = 0
            while (!isStopped && filled < samples.size) {
                val count = microphone.read(samples, filled, minOf(BLOCK, samples.size - filled))
                if (count <= 0 && filled == 0) return null
                if (count <= 0) break // the microphone is gone, not what was said into it
                filled += count
            }
            isFull = filled == samples.size
            microphone.stop()
            return fromPcm16(samples.copyOf(filled))
        } finally {
            microphone.release()
        }
    }

    fun stop() {
        isStopped = true
    }

    private companion object {
        const val LONGEST_SECONDS = 60
        const val BLOCK = 1600
    }
}
