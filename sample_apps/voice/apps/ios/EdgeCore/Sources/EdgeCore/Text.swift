import Foundation

/// Text as ids of a vocabulary.
public protocol TextEncoder: Sendable {
    func encode(_ text: String) -> [Int]
}

/// Ids of a vocabulary as text.
public protocol TextDecoder: Sendable {
    func decode(_ ids: [Int]) throws -> String
}

/// What a piece of a vocabulary is for.
enum Kind: String, Sendable {
    case normal, unknown, control, user, unused, byte
}

/// A piece of a vocabulary, whose id is its place. text: its code points.
///
/// Swift's own strings take different code points that look alike for equal.
struct Piece: Sendable {
    let text: [Int]
    let score: Float
    let kind: Kind
}

/// The vocabulary in a file: `score TAB kind TAB piece` in the order of the ids.
func readPieces(_ data: Data) throws -> [Piece] {
    try linesOf(data, "edgepack pieces 1") { line in
        let fields = line.split(separator: 0x09, maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, let score = Double(string(of: fields[0])), score.isFinite,
            let kind = Kind(rawValue: string(of: fields[1]))
        else { throw EdgeError("it is not score, kind and piece") }
        return Piece(text: try unescaped(fields[2]), score: Float(score), kind: kind)
    }
}

/// Replacements in a file: `from TAB to`, as code points.
func readRules(_ data: Data) throws -> [(from: [Int], to: [Int])] {
    try linesOf(data, "edgepack rules 1") { line in
        let fields = line.split(separator: 0x09, maxSplits: 1, omittingEmptySubsequences: false)
        guard fields.count == 2 else { throw EdgeError("it is not two fields") }
        return (try unescaped(fields[0]), try unescaped(fields[1]))
    }
}

/// What `read` makes of the code points of each line after the first, which must be `first`.
func linesOf<T>(_ data: Data, _ first: String, _ read: (ArraySlice<Int>) throws -> T) throws -> [T] {
    guard let codes = codePoints(ofUtf8: Array(data)) else { throw EdgeError("a vocabulary is not UTF-8") }
    let lines = codes.split(separator: 0x0A, omittingEmptySubsequences: false)
    guard lines.count > 1, lines[0].elementsEqual(codePointsOf(first)), lines[lines.count - 1].isEmpty else {
        throw EdgeError("a vocabulary does not begin with: \(first)")
    }
    return try lines.dropFirst().dropLast().enumerated().map { index, line in
        do {
            return try read(line)
        } catch {
            throw EdgeError("line \(index + 2) of a vocabulary cannot be read: \(error)")
        }
    }
}

/// A field of a file with its backslashes resolved.
func unescaped(_ text: ArraySlice<Int>) throws -> [Int] {
    let backslash = 0x5C
    guard text.contains(backslash) else { return Array(text) }
    let escapes = [backslash: backslash, 0x74: 0x09, 0x6E: 0x0A, 0x72: 0x0D]
    var out: [Int] = []
    var rest = text
    while let next = rest.popFirst() {
        if next != backslash {
            out.append(next)
        } else if let escape = rest.popFirst(), let meant = escapes[escape] {
            out.append(meant)
        } else {
            throw EdgeError("unknown escape in \(string(of: text))")
        }
    }
    return out
}

/// The code points of a text.
public func codePointsOf(_ text: String) -> [Int] { text.unicodeScalars.map { Int($0.value) } }

/// The text of code points; those that are none become U+FFFD.
func string<Codes: Sequence>(of codes: Codes) -> String where Codes.Element == Int {
    var out = String.UnicodeScalarView()
    for code in codes { out.append(UInt32(exactly: code).flatMap(Unicode.Scalar.init) ?? "\u{FFFD}") }
    return String(out)
}

/// The UTF-8 bytes of a code point, each from 0 to 255.
func utf8Of(_ code: Int) -> [Int] {
    switch code {
    case ..<0x80: return [code]
    case ..<0x800: return [0xC0 | code >> 6, 0x80 | code & 0x3F]
    case ..<0x10000: return [0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F]
    default: return [0xF0 | code >> 18, 0x80 | code >> 12 & 0x3F, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F]
    }
}

/// Text of bytes, U+FFFD where they are no UTF-8.
///
/// One of them stands for the longest beginning of a character that breaks off, as the Unicode standard
/// has it, section 3.9; bytewise: for each byte of it, as in SentencePiece.
public func decodeUtf8(_ bytes: [UInt8], bytewise: Bool) -> String {
    var out: [Int] = []
    var place = 0
    while place < bytes.count {
        let (code, length) = nextCharacter(bytes, place)
        out.append(code ?? 0xFFFD)
        place += bytewise && code == nil ? 1 : length
    }
    return string(of: out)
}

/// The code points of bytes, nil where they are no UTF-8.
func codePoints(ofUtf8 bytes: [UInt8]) -> [Int]? {
    var out: [Int] = []
    out.reserveCapacity(bytes.count)
    var place = 0
    while place < bytes.count {
        let (code, length) = nextCharacter(bytes, place)
        guard let code else { return nil }
        out.append(code)
        place += length
    }
    return out
}

/// The character that begins at a byte, nil for one that breaks off, and how many bytes it has.
private func nextCharacter(_ bytes: [UInt8], _ place: Int) -> (code: Int?, length: Int) {
    let lead = Int(bytes[place])
    let following: Int
    switch lead {
    case 0x00...0x7F: return (lead, 1)
    case 0xC2...0xDF: following = 1
    case 0xE0...0xEF: following = 2
    case 0xF0...0xF4: following = 3
    default: return (nil, 1)
    }
    var code = lead & (0x3F >> following)
    var length = 1
    while length <= following, place + length < bytes.count,
        trailing(lead, length).contains(Int(bytes[place + length]))
    {
        code = code << 6 | Int(bytes[place + length] & 0x3F)
        length += 1
    }
    return (length == following + 1 ? code : nil, length)
}

/// What byte may stand `place` behind a leading byte. Source: The Unicode Standard, table 3-7.
private func trailing(_ lead: Int, _ place: Int) -> ClosedRange<Int> {
    if place > 1 { return 0x80...0xBF }
    switch lead {
    case 0xE0: return 0xA0...0xBF
    case 0xED: return 0x80...0x9F
    case 0xF0: return 0x90...0xBF
    case 0xF4: return 0x80...0x8F
    default: return 0x80...0xBF
    }
}

/// Sequences of code points and a number for each, walked character by character.
///
/// Steps lie in an open hash table: the node and the code point, and the node they lead to.
struct Trie: Sendable {
    private var steps = [Int](repeating: -1, count: 1024)
    private var nodes = [Int](repeating: 0, count: 1024)
    private var values = [Int](repeating: -1, count: 512)
    private var count = 1

    mutating func add(_ key: [Int], _ value: Int) {
        var node = 0
        for code in key {
            let place = Trie.place(steps, node, code)
            if steps[place] < 0 {
                steps[place] = Trie.stepOf(node, code)
                nodes[place] = count
                node = count
                count += 1
                if count == values.count { grow() }
            } else {
                node = nodes[place]
            }
        }
        values[node] = value
    }

    /// The node behind `node` and a character, -1 if there is none; 0 is the root.
    func step(_ node: Int, _ code: Int) -> Int {
        let place = Trie.place(steps, node, code)
        return steps[place] < 0 ? -1 : nodes[place]
    }

    /// The number of the sequence that ends at a node, -1 if none does.
    func value(_ node: Int) -> Int { values[node] }

    /// The number of the longest sequence that begins at a place and its length, (-1, 0) if none does.
    func longest(_ text: [Int], _ start: Int) -> (value: Int, length: Int) {
        var node = 0
        var found = (value: -1, length: 0)
        for place in start..<text.count {
            node = step(node, text[place])
            if node < 0 { break }
            if value(node) >= 0 { found = (value(node), place + 1 - start) }
        }
        return found
    }

    /// Twice the room; half of the table stays free.
    private mutating func grow() {
        var roomier = [Int](repeating: -1, count: 2 * steps.count)
        var moved = [Int](repeating: 0, count: 2 * steps.count)
        for index in steps.indices where steps[index] >= 0 {
            let place = Trie.place(roomier, steps[index] >> 21, steps[index] & 0x1FFFFF)
            roomier[place] = steps[index]
            moved[place] = nodes[index]
        }
        steps = roomier
        nodes = moved
        values += [Int](repeating: -1, count: values.count)
    }

    /// Where a step lies, or would lie.
    private static func place(_ table: [Int], _ node: Int, _ code: Int) -> Int {
        let wanted = stepOf(node, code)
        let mixed = UInt64(bitPattern: Int64(wanted)) &* 0x9E37_79B9_7F4A_7C15
        var place = Int(mixed >> 32) & (table.count - 1)
        while table[place] >= 0 && table[place] != wanted { place = (place + 1) & (table.count - 1) }
        return place
    }

    private static func stepOf(_ node: Int, _ code: Int) -> Int { node << 21 | code }
}
