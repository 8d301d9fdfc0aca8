import Foundation

/// The task of translation, as edgepack.json describes it.
public struct TranslationTask: Codable, Sendable {
    public struct Encoder: Codable, Sendable {
        public let model: String
        public let tokens: String
        public let mask: String
        public let length: Int
        public let filler: Int
        public let end: [Int]
    }

    public let tokenizer: TokenizerSettings
    public let languages: [Language]
    public let encoder: Encoder
    public let decoder: DecoderNames
    public let generation: Generation
}

/// A language that the model translates into, and the token that asks for it.
public struct Language: Codable, Sendable, Hashable {
    public let name: String
    public let token: Int
}

/// A translated text. isCut: whether some of the text did not fit the model.
public struct Translation: Sendable {
    public let text: String
    public let isCut: Bool
    public let encoderMillis: Double
    public let decoderMillis: Double
    public let tokens: Int
}

/// Text to text. Not for two threads at once: whoever owns it sees to that.
public final class Translator: @unchecked Sendable {
    private let task: TranslationTask
    private let reader: any TextEncoder
    private let writer: any TextDecoder
    private let encoder: Callee
    private let decoder: Callee

    /// read: gives a file beside the manifest by its name.
    public init(_ task: TranslationTask, read: (String) throws -> Data, open: Opener) async throws {
        self.task = task
        reader = try readEncoder(task.tokenizer, read: read)
        writer = try readDecoder(task.tokenizer, read: read)
        encoder = try await open(task.encoder.model)
        decoder = try await open(task.decoder.model)
    }

    /// What people can choose; empty for a model of one direction.
    public var languages: [Language] { task.languages }

    /// The text in another language, line by line; an empty line stays one.
    public func translate(_ text: String, _ language: Language?) throws -> Translation {
        let lines = try text.replacingOccurrences(of: "\r\n", with: "\n")
            .split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.allSatisfy(\.isWhitespace) ? nil : try translateLine(String(line), language)
        }
        let made = lines.compactMap { $0 }
        return Translation(
            text: lines.map { $0?.text ?? "" }.joined(separator: "\n"),
            isCut: made.contains(where: \.isCut),
            encoderMillis: made.map(\.encoderMillis).reduce(0, +),
            decoderMillis: made.map(\.decoderMillis).reduce(0, +),
            tokens: made.map(\.tokens).reduce(0, +)
        )
    }

    /// Ids that the encoder gets for a line, without the filler, and whether all of it fitted.
    public func source(_ line: String, _ language: Language?) -> (ids: [Int], isWhole: Bool) {
        let front = language.map { [$0.token] } ?? []
        let ids = reader.encode(line)
        let room = task.encoder.length - front.count - task.encoder.end.count
        return (front + Array(ids.prefix(room)) + task.encoder.end, ids.count <= room)
    }

    private func translateLine(_ line: String, _ language: Language?) throws -> Translation {
        let (ids, isWhole) = source(line, language)
        let names = task.encoder
        var given = [names.tokens: try filled(names.tokens) { $0 < ids.count ? ids[$0] : names.filler }]
        if !names.mask.isEmpty { given[names.mask] = try filled(names.mask) { $0 < ids.count ? 1 : 0 } }
        let encoded = try timed { try encoder.call(given) }
        let step = try DecoderStep(decoder, task.decoder, encoded.made.merging(given) { _, given in given })
        let found = try timed { try generate(step.run, step.start, task.generation) }
        return Translation(
            text: try writer.decode(found.made),
            isCut: !isWhole,
            encoderMillis: encoded.millis,
            decoderMillis: found.millis,
            tokens: found.made.count
        )
    }

    private func filled(_ input: String, _ value: (Int) -> Int) throws -> TensorData {
        let info = try encoder.input(input)
        let values = (0..<task.encoder.length).map { Double(value($0)) }
        return try TensorData(dtype: info.dtype, shape: info.sizes, values: values)
    }
}
