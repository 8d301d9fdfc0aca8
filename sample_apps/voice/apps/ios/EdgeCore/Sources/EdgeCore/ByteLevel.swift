import Foundation

/// Settings of GPT-2's pieces of bytes; the file lies beside the manifest.
public struct ByteLevelSettings: Codable, Sendable {
    public let pieces: String
}

/// GPT-2's pieces of bytes: text from ids, as Whisper gives them.
///
/// Each byte of a piece is written as one printable character; `pieces` is the content of the vocabulary.
/// Source: openai/gpt-2, encoder.py, bytes_to_unicode.
public final class ByteLevel: TextDecoder {
    private let contents: [[UInt8]]

    public init(_ pieces: Data) throws {
        contents = try readPieces(pieces).map { piece in
            piece.kind == .control ? [] : try piece.text.map(byteOf)
        }
    }

    /// Text of ids; control pieces vanish, a broken character becomes one U+FFFD.
    public func decode(_ ids: [Int]) throws -> String {
        let bytes = try ids.flatMap { id -> [UInt8] in
            guard contents.indices.contains(id) else {
                throw EdgeError("the vocabulary has no piece of id \(id)")
            }
            return contents[id]
        }
        return decodeUtf8(bytes, bytewise: false)
    }
}

/// Bytes that do not stand for themselves; they are written as U+0100 and up, in their order.
private let others: [UInt8] = (0...255).filter { !isPrintable(Int($0)) }

private func isPrintable(_ byte: Int) -> Bool {
    (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
}

private func byteOf(_ character: Int) throws -> UInt8 {
    if isPrintable(character) { return UInt8(character) }
    guard others.indices.contains(character - 256) else {
        throw EdgeError("\(string(of: [character])) stands for no byte")
    }
    return others[character - 256]
}
