import AVFoundation
import EdgeCore
import Foundation

/// Sound of one channel, from -1 to 1.
struct Recorded: Sendable {
    let samples: [Float]
    let rate: Int
}

/// The microphone at its own rate, a minute at most.
actor Recorder {
    private let engine = AVAudioEngine()
    private let heard = Heard()

    /// Ask for the permission, unless that was done, and start.
    func start() async throws {
        guard await AVAudioApplication.requestRecordPermission() else {
            throw EdgeError("Without the permission nothing can be recorded.")
        }
        let session = AVAudioSession.sharedInstance()
        try session.setCategory(.record, mode: .measurement)
        try session.setActive(true, options: .notifyOthersOnDeactivation)
        let format = engine.inputNode.outputFormat(forBus: 0)
        guard format.sampleRate > 0 else { throw EdgeError("The microphone cannot be had.") }
        heard.begin(rate: Int(format.sampleRate))
        let heard = heard
        engine.inputNode.installTap(onBus: 0, bufferSize: 4096, format: format) { buffer, _ in
            guard let channels = buffer.floatChannelData else { return }
            heard.append(UnsafeBufferPointer(start: channels[0], count: Int(buffer.frameLength)))
        }
        engine.prepare()
        try engine.start()
    }

    func stop() -> Recorded {
        engine.inputNode.removeTap(onBus: 0)
        engine.stop()
        try? AVAudioSession.sharedInstance().setActive(false, options: .notifyOthersOnDeactivation)
        return heard.all()
    }
}

/// What was heard so far; the microphone's thread adds to it.
private final class Heard: @unchecked Sendable {
    private let longestSeconds = 60
    private let lock = NSLock()
    private var samples: [Float] = []
    private var rate = 0

    func begin(rate: Int) {
        lock.lock()
        defer { lock.unlock() }
        self.rate = rate
        samples = []
    }

    func append(_ more: UnsafeBufferPointer<Float>) {
        lock.lock()
        defer { lock.unlock() }
        if samples.count < longestSeconds * rate { samples.append(contentsOf: more) }
    }

    func all() -> Recorded {
        lock.lock()
        defer { lock.unlock() }
        return Recorded(samples: samples, rate: max(rate, 1))
    }
}
