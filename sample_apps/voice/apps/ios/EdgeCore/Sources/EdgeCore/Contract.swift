import Foundation

// The settings as edgepack.json holds them. Every key is there: defaults were filled in when it was made.

/// Settings of a tokenizer, by its type.
public enum TokenizerSettings: Codable, Sendable {
    case unigram(UnigramSettings)
    case wordPiece(WordPieceSettings)
    case byteLevel(ByteLevelSettings)

    private enum CodingKeys: String, CodingKey {
        case type
    }

    private enum Family: String, Codable {
        case unigram
        case wordPiece = "wordpiece"
        case byteLevel = "byte-level"
    }

    public init(from decoder: Decoder) throws {
        switch try decoder.container(keyedBy: CodingKeys.self).decode(Family.self, forKey: .type) {
        case .unigram: self = .unigram(try UnigramSettings(from: decoder))
        case .wordPiece: self = .wordPiece(try WordPieceSettings(from: decoder))
        case .byteLevel: self = .byteLevel(try ByteLevelSettings(from: decoder))
        }
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .unigram(let settings):
            try container.encode(Family.unigram, forKey: .type)
            try settings.encode(to: encoder)
        case .wordPiece(let settings):
            try container.encode(Family.wordPiece, forKey: .type)
            try settings.encode(to: encoder)
        case .byteLevel(let settings):
            try container.encode(Family.byteLevel, forKey: .type)
            try settings.encode(to: encoder)
        }
    }
}

/// What encodes text; `read` gives a file beside the manifest by its name.
public func readEncoder(
    _ entry: TokenizerSettings, read: (String) throws -> Data
) throws -> any TextEncoder {
    switch entry {
    case .unigram(let settings): return try Unigram(settings, read: read)
    case .wordPiece(let settings): return try WordPiece(settings, read: read)
    case .byteLevel: throw EdgeError("a tokenizer of type byte-level encodes no text")
    }
}

/// What decodes ids; `read` gives a file beside the manifest by its name.
public func readDecoder(
    _ entry: TokenizerSettings, read: (String) throws -> Data
) throws -> any TextDecoder {
    switch entry {
    case .unigram(let settings): return try Unigram(settings, read: read)
    case .wordPiece: throw EdgeError("a tokenizer of type wordpiece decodes no ids")
    case .byteLevel(let settings): return try ByteLevel(read(settings.pieces))
    }
}
