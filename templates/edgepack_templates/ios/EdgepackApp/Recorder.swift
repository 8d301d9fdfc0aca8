import AVFoundation
import EdgeCore
import Foundation

/// Why a recording came to its end.
enum Ending: Sendable {
    case asked, full, interrupted
    // The sound comes from elsewhere now, which may have stopped the engine.
    case rerouted
}

/// Sound of one channel, from -1 to 1.
struct Recorded: Sendable {
    let samples: [Float]
    let rate: Int
    let ending: Ending
}

/// The microphone at its own rate, a minute at most. For one recording.
final class Recorder: Sendable {
    private let endings: AsyncStream<Ending>
    private let ended: AsyncStream<Ending>.Continuation

    init() {
        (endings, ended) = AsyncStream.makeStream(of: Ending.self)
    }

    /// End the recording, or see that it ends as soon as it begins.
    func stop() { ended.yield(.asked) }

    /// Ask for the permission, unless that was done, and record until `stop` is called, the minute is full or
    /// something else takes the microphone away.
    func record() async throws -> Recorded {
        guard await AVAudioApplication.requestRecordPermission() else {
            throw EdgeError("Without the permission nothing can be recorded.")
        }
        let session = AVAudioSession.sharedInstance()
        try session.setCategory(.record, mode: .measurement)
        try session.setActive(true)
        defer { try? session.setActive(false, options: .notifyOthersOnDeactivation) }
        let engine = AVAudioEngine()
        let format = engine.inputNode.outputFormat(forBus: 0)
        // A tap with a format that holds nothing ends the app.
        guard format.sampleRate > 0, format.channelCount > 0 else { throw EdgeError("The microphone cannot be had.") }
        let ended = ended
        let heard = Heard(rate: Int(format.sampleRate)) { ended.yield(.full) }
        engine.inputNode.installTap(onBus: 0, bufferSize: 4096, format: format) { buffer, _ in
            guard let channels = buffer.floatChannelData else { return }
            heard.append(UnsafeBufferPointer(start: channels[0], count: Int(buffer.frameLength)))
        }
        let observers = observers()
        defer {
            observers.forEach { NotificationCenter.default.removeObserver($0) }
            engine.inputNode.removeTap(onBus: 0)
            engine.stop()
        }
        engine.prepare()
        try engine.start()
        var ending = Ending.asked
        for await found in endings where found != .rerouted || !engine.isRunning {
            ending = found
            break
        }
        return Recorded(samples: heard.all(), rate: heard.rate, ending: ending)
    }

    /// What hears of calls and alarms, of headsets that come and go, and of the sound system starting anew.
    private func observers() -> [any NSObjectProtocol] {
        let ended = ended
        func observer(
            _ name: Notification.Name, _ tell: @escaping @Sendable (Notification) -> Void
        ) -> any NSObjectProtocol {
            NotificationCenter.default.addObserver(forName: name, object: nil, queue: nil, using: tell)
        }
        return [
            observer(AVAudioSession.interruptionNotification) { told in
                // It comes once more when the interruption is over.
                let kind = told.userInfo?[AVAudioSessionInterruptionTypeKey] as? UInt
                if kind == AVAudioSession.InterruptionType.began.rawValue { ended.yield(.interrupted) }
            },
            observer(AVAudioSession.mediaServicesWereResetNotification) { _ in ended.yield(.interrupted) },
            observer(.AVAudioEngineConfigurationChange) { _ in ended.yield(.rerouted) },
        ]
    }
}

/// What was heard so far; the microphone's thread adds to it.
private final class Heard: @unchecked Sendable {
    let rate: Int
    private let longestSeconds = 60
    private let full: @Sendable () -> Void
    private let lock = NSLock()
    private var samples: [Float] = []

    /// full: what is told when there is room for no more.
    init(rate: Int, full: @escaping @Sendable () -> Void) {
        self.rate = rate
        self.full = full
    }

    func append(_ more: UnsafeBufferPointer<Float>) {
        lock.lock()
        defer { lock.unlock() }
        let room = longestSeconds * rate - samples.count
        guard room > 0 else { return }
        samples.append(contentsOf: more.prefix(room))
        if more.count >= room { full() }
    }

    func all() -> [Float] {
        lock.lock()
        defer { lock.unlock() }
        return samples
    }
}
