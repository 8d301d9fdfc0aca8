import Foundation

/// The task of turning speech to text, as edgepack.json describes it.
public struct VoiceTask: Codable, Sendable {
    public struct Detector: Codable, Sendable {
        public let model: String
        public let input: String
        public let output: String
        public let carried: [Carried]
        public let frames: Frames
    }

    public struct Encoder: Codable, Sendable {
        public let model: String
        public let input: String
    }

    public let detector: Detector
    public let speech: Speech
    public let features: LogMel
    public let encoder: Encoder
    public let decoder: DecoderNames
    public let tokenizer: TokenizerSettings
    public let generation: Generation
}

/// A stretch of speech in seconds of the recording, and what was said.
public struct Utterance: Sendable {
    public let startSeconds: Double
    public let endSeconds: Double
    public let text: String
    public let tokens: [Int]
}

/// How long a step took, all its calls together.
public struct StepTime: Sendable {
    public let name: String
    public let millis: Double
    public let calls: Int
}

/// Everything said in a recording, and the milliseconds of each step.
public struct Transcription: Sendable {
    public let utterances: [Utterance]
    public let steps: [StepTime]

    public var text: String {
        utterances.map { $0.text.trimmingCharacters(in: .whitespacesAndNewlines) }
            .joined(separator: " ")
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Speech to text: a detector finds speech, an encoder hears it, a decoder writes it down token by token.
///
/// Not for two threads at once: whoever owns it sees to that.
public final class Transcriber: @unchecked Sendable {
    private let task: VoiceTask
    private let tokenizer: any TextDecoder
    private let detector: Callee
    private let encoder: Callee
    private let decoder: Callee

    /// read: gives a file beside the manifest by its name.
    public init(_ task: VoiceTask, read: (String) throws -> Data, open: Opener) async throws {
        self.task = task
        tokenizer = try readDecoder(task.tokenizer, read: read)
        detector = try await open(task.detector.model)
        encoder = try await open(task.encoder.model)
        decoder = try await open(task.decoder.model)
    }

    /// Samples a second that `transcribe` takes; others are resampled.
    public var sampleRate: Int { task.speech.sampleRate }

    /// What is said in a recording of one channel, from -1 to 1; rate: nil for `sampleRate`.
    public func transcribe(_ samples: [Float], rate: Int? = nil) throws -> Transcription {
        let given = rate ?? sampleRate
        let sound = given == sampleRate ? samples : try resample(samples, given, sampleRate)
        var clock = Clock()
        let found = try clock.time("find speech") { stretches(try probabilities(sound), sound.count, task.speech) }
        var utterances: [Utterance] = []
        for stretch in found {
            let tokens = try tokens(of: Array(sound[stretch.first..<stretch.end]), &clock)
            utterances.append(
                Utterance(
                    startSeconds: Double(stretch.first) / Double(sampleRate),
                    endSeconds: Double(stretch.end) / Double(sampleRate),
                    text: try tokenizer.decode(tokens),
                    tokens: tokens
                )
            )
        }
        return Transcription(utterances: utterances, steps: clock.steps)
    }

    /// Tokens of one stretch of speech.
    public func tokens(of samples: [Float]) throws -> [Int] {
        var clock = Clock()
        return try tokens(of: samples, &clock)
    }

    /// The text that tokens spell.
    public func text(of tokens: [Int]) throws -> String { try tokenizer.decode(tokens) }

    /// How likely each frame of a recording is speech.
    public func probabilities(_ samples: [Float]) throws -> [Float] {
        let names = task.detector
        let sizes = try detector.input(names.input).sizes
        let output = try detector.output(names.output)
        var stream = try CarriedState(names.carried, try detector.zeros(names.carried))
        return try frames(samples, names.frames).map { window in
            let frame = try TensorData(shape: sizes, floats: window)
            let outputs = try stream.take(try detector.call(stream.inputs([names.input: frame])))
            guard let probability = output.real(try tensor(names.output, of: outputs)).first else {
                throw EdgeError("\(detector.info.name) gave no probability")
            }
            return Float(probability)
        }
    }

    private func tokens(of samples: [Float], _ clock: inout Clock) throws -> [Int] {
        let spectrogram = try clock.time("spectrogram") { try logMel(samples, task.features) }
        let input = try TensorData(shape: try encoder.input(task.encoder.input).sizes, floats: spectrogram.values)
        let encoded = try clock.time("encoder") { try encoder.call([task.encoder.input: input]) }
        let step = try DecoderStep(decoder, task.decoder, encoded)
        var own = clock
        defer { clock = own }
        return try generate(
            { state, token, place in try own.time("decoder, a token") { try step.run(state, token, place) } },
            step.start, task.generation
        )
    }
}

/// Adds up how long each step takes.
private struct Clock {
    private(set) var steps: [StepTime] = []

    mutating func time<Made>(_ name: String, _ work: () throws -> Made) rethrows -> Made {
        let (made, millis) = try timed(work)
        if let place = steps.firstIndex(where: { $0.name == name }) {
            let before = steps[place]
            steps[place] = StepTime(name: name, millis: before.millis + millis, calls: before.calls + 1)
        } else {
            steps.append(StepTime(name: name, millis: millis, calls: 1))
        }
        return made
    }
}
