import Foundation

/// Settings of SentencePiece's unigram model; the files lie beside the manifest.
public struct UnigramSettings: Codable, Sendable {
    public let pieces: String
    public let rules: String
    public let addDummyPrefix: Bool
    public let removeExtraWhitespaces: Bool
    public let byteFallback: Bool
    public let unknownSurface: String
    public let before: [Int]
    public let after: [Int]

    enum CodingKeys: String, CodingKey {
        case pieces, rules, before, after
        case addDummyPrefix = "add_dummy_prefix"
        case removeExtraWhitespaces = "remove_extra_whitespaces"
        case byteFallback = "byte_fallback"
        case unknownSurface = "unknown_surface"
    }
}

private let space = 0x2581
private let blank = 0x20
private let unknownPenalty: Float = 10
private let farthest: Float = 100_000

/// SentencePiece's unigram model: the best split of a text by Viterbi, and text from ids.
///
/// Scores are added as 32-bit floats in SentencePiece's own order, so that ties fall as there.
/// `read` gives a file by its name. Source: sentencepiece 0.2.3, unigram_model.cc and normalizer.cc.
public final class Unigram: TextEncoder, TextDecoder {
    private let settings: UnigramSettings
    private let pieces: [Piece]
    private let scores: [Float]
    private let known: Trie
    private let users: Trie
    private let replaced: Trie
    private let replacements: [[Int]]
    private let unknown: Int
    private let byteIds: [Int]
    private let unknownScore: Float

    public init(_ settings: UnigramSettings, read: (String) throws -> Data) throws {
        let pieces = try readPieces(read(settings.pieces))
        let rules = settings.rules.isEmpty ? [] : try readRules(read(settings.rules))
        var byteIds = [Int](repeating: -1, count: 256)
        for (id, piece) in pieces.enumerated() where piece.kind == .byte { byteIds[try byteOf(piece)] = id }
        guard let unknown = pieces.firstIndex(where: { $0.kind == .unknown }),
            let least = pieces.filter({ $0.kind == .normal }).map(\.score).min(),
            !settings.byteFallback || !byteIds.contains(-1)
        else { throw EdgeError("\(settings.pieces) lacks pieces that the tokenizer needs") }
        let texts = pieces.map(\.text)
        self.settings = settings
        self.pieces = pieces
        self.unknown = unknown
        self.byteIds = byteIds
        unknownScore = least - unknownPenalty
        scores = pieces.map(score)
        known = trie(texts) { pieces[$0].kind == .normal || pieces[$0].kind == .user }
        users = trie(texts) { pieces[$0].kind == .user }
        replaced = trie(rules.map(\.from)) { _ in true }
        replacements = rules.map(\.to)
    }

    public func encode(_ text: String) -> [Int] {
        let normal = normalize(codePointsOf(text))
        var ids: [Int] = []
        var wasUnknown = false
        for (start, end, id) in bestSplit(normal) {
            let isUnknown = id == unknown
            if isUnknown && settings.byteFallback {
                for code in normal[start..<end] { ids += utf8Of(code).map { byteIds[$0] } }
            } else if !isUnknown || !wasUnknown {
                ids.append(id)
            }
            wasUnknown = isUnknown
        }
        return settings.before + ids + settings.after
    }

    /// The text as the pieces spell it: rules applied, spaces written ▁, one in front, none left over.
    func normalize(_ text: [Int]) -> [Int] {
        let remove = settings.removeExtraWhitespaces
        var out: [Int] = []
        var afterSpace = remove
        var start = 0
        while start < text.count {
            let (part, length) = nextPart(text, start)
            start += length
            let rest = afterSpace ? part.drop { $0 == blank } : part[...]
            if rest.isEmpty { continue }
            out += rest.map { $0 == blank ? space : $0 }
            afterSpace = remove && rest.last == blank
        }
        let prefix = settings.addDummyPrefix && (!out.isEmpty || (!text.isEmpty && !remove))
        if prefix { out.insert(space, at: 0) }
        while remove && out.last == space { out.removeLast() }
        return out
    }

    /// What stands for the beginning of the rest, and how many characters it replaces.
    private func nextPart(_ text: [Int], _ start: Int) -> (part: [Int], length: Int) {
        let (user, length) = users.longest(text, start)
        if user >= 0 { return (Array(text[start..<(start + length)]), length) }
        let (rule, replacedLength) = replaced.longest(text, start)
        if rule >= 0 { return (replacements[rule], replacedLength) }
        return ([text[start]], 1)
    }

    /// (start, end, id) of the pieces whose scores add up to most; the first found wins a tie.
    private func bestSplit(_ text: [Int]) -> [(start: Int, end: Int, id: Int)] {
        var best = [Float](repeating: 0, count: text.count + 1)
        var begin = [Int](repeating: -1, count: text.count + 1)
        var id = [Int](repeating: -1, count: text.count + 1)
        func offer(_ start: Int, _ end: Int, _ candidate: Int, _ score: Float) {
            let total = score + best[start]
            if begin[end] < 0 || total > best[end] {
                best[end] = total
                begin[end] = start
                id[end] = candidate
            }
        }
        for start in text.indices {
            if abs(best[start]) > farthest { moveBack(&best, begin, start) }
            var single = false
            var node = 0
            for end in (start + 1)...text.count {
                node = known.step(node, text[end - 1])
                if node < 0 { break }
                let candidate = known.value(node)
                if candidate < 0 { continue }
                offer(start, end, candidate, scores[candidate])
                single = single || end == start + 1
            }
            if !single { offer(start, start + 1, unknown, unknownScore) }
        }
        var split: [(start: Int, end: Int, id: Int)] = []
        var end = text.count
        while end > 0 {
            split.append((begin[end], end, id[end]))
            end = begin[end]
        }
        return split.reversed()
    }

    /// Take the sum at `start` from it and all those ahead, before 32-bit floats get coarse.
    private func moveBack(_ best: inout [Float], _ begin: [Int], _ start: Int) {
        let offset = best[start]
        for place in start..<best.count where place == start || begin[place] >= 0 { best[place] -= offset }
    }

    /// Text of ids; control pieces vanish, broken UTF-8 becomes U+FFFD byte by byte.
    public func decode(_ ids: [Int]) throws -> String {
        var out = ""
        var pending: [UInt8] = []
        var atStart = true
        var consumed = false
        for id in ids {
            guard pieces.indices.contains(id) else { throw EdgeError("the vocabulary has no piece of id \(id)") }
            let piece = pieces[id]
            if piece.kind == .byte {
                pending.append(UInt8(try byteOf(piece)))
                continue
            }
            out += decodeUtf8(pending, bytewise: true)
            pending.removeAll()
            atStart = atStart && !consumed && out.isEmpty
            consumed = append(piece, atStart, &out)
        }
        return out + decodeUtf8(pending, bytewise: true)
    }

    /// Add what a piece shows; whether it was a text's one dummy space.
    private func append(_ piece: Piece, _ atStart: Bool, _ out: inout String) -> Bool {
        if piece.kind == .control { return false }
        if piece.kind == .unknown {
            out += settings.unknownSurface
            return false
        }
        let strip = atStart && (settings.addDummyPrefix || settings.removeExtraWhitespaces)
        let stripped = strip && piece.text.first == space
        out += string(of: piece.text.dropFirst(stripped ? 1 : 0).map { $0 == space ? blank : $0 })
        return stripped && !settings.removeExtraWhitespaces
    }
}

private func trie(_ texts: [[Int]], _ wanted: (Int) -> Bool) -> Trie {
    var trie = Trie()
    for (index, text) in texts.enumerated() where wanted(index) { trie.add(text, index) }
    return trie
}

/// The score of a piece; a user's piece has one by its bytes that no split of it reaches.
private func score(_ piece: Piece) -> Float {
    if piece.kind != .user { return piece.score }
    return Float(0.1 * Double(piece.text.map { utf8Of($0).count }.reduce(0, +) - 1))
}

private func byteOf(_ piece: Piece) throws -> Int {
    guard let byte = UInt8(string(of: piece.text.dropFirst(3).dropLast()), radix: 16) else {
        throw EdgeError("\(string(of: piece.text)) is not written as a byte")
    }
    return Int(byte)
}
