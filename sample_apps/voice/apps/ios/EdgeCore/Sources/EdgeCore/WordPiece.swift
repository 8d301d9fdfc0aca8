import Foundation

/// Settings of BERT's word pieces; the files lie beside the manifest.
public struct WordPieceSettings: Codable, Sendable {
    public let pieces: String
    public let characters: String
    public let unknown: String
    public let continuing: String
    public let longestWord: Int
    public let before: [Int]
    public let after: [Int]

    enum CodingKeys: String, CodingKey {
        case pieces, characters, unknown, continuing, before, after
        case longestWord = "longest_word"
    }
}

/// BERT's word pieces: characters folded and split by a table, words cut from the front.
///
/// `read` gives a file by its name. Source: google-research/bert, tokenization.py.
public final class WordPiece: TextEncoder {
    private let settings: WordPieceSettings
    private let characters: Characters
    private let first: Trie
    private let next: Trie
    private let unknown: Int

    public init(_ settings: WordPieceSettings, read: (String) throws -> Data) throws {
        let pieces = try readPieces(read(settings.pieces))
        let name = codePointsOf(settings.unknown)
        guard let unknown = pieces.lastIndex(where: { $0.text == name }) else {
            throw EdgeError("\(settings.pieces) has no \(settings.unknown)")
        }
        let continuing = codePointsOf(settings.continuing)
        var first = Trie()
        var next = Trie()
        for (id, piece) in pieces.enumerated() {
            first.add(piece.text, id)
            if piece.text.starts(with: continuing) { next.add(Array(piece.text.dropFirst(continuing.count)), id) }
        }
        self.settings = settings
        self.unknown = unknown
        self.first = first
        self.next = next
        characters = try Characters(read(settings.characters))
    }

    public func encode(_ text: String) -> [Int] {
        settings.before + characters.words(codePointsOf(text)).flatMap(piecesOf) + settings.after
    }

    /// The longest piece that begins the word, and so on; unknown as a whole if any part is.
    private func piecesOf(_ word: [Int]) -> [Int] {
        var ids: [Int] = []
        var start = 0
        while start < word.count {
            let (id, length) = (start == 0 ? first : next).longest(word, start)
            if id < 0 || word.count > settings.longestWord { return [unknown] }
            ids.append(id)
            start += length
        }
        return ids
    }
}

private let blank = 0x20
private let hangul = 0xAC00..<0xD7A4
private let vowels = 21
private let tails = 28

/// How each character is read, by a file; those that it does not name stand for themselves.
struct Characters: Sendable {
    private var drop = Ranges()
    private var space = Ranges()
    private var apart = Ranges()
    private var fold: [Int: [Int]] = [:]
    private var jamo = false

    init(_ file: Data) throws {
        for fields in try linesOf(file, "edgepack characters 1", fieldsOf) {
            switch (fields.word, fields.numbers.count) {
            case ("fold", 1...): fold[fields.numbers[0]] = Array(fields.numbers.dropFirst())
            case ("drop", 2): try drop.add(fields.numbers[0], fields.numbers[1])
            case ("space", 2): try space.add(fields.numbers[0], fields.numbers[1])
            case ("apart", 2): try apart.add(fields.numbers[0], fields.numbers[1])
            case ("jamo", 0): jamo = true
            default: throw EdgeError("a table of characters holds an unknown line: \(fields.word)")
            }
        }
    }

    /// Folded words of a text, and what stands apart alone.
    func words(_ text: [Int]) -> [[Int]] {
        var words: [[Int]] = []
        var word: [Int] = []
        for code in text where !drop.contains(code) {
            for part in space.contains(code) ? [blank] : folded(code) {
                let isApart = apart.contains(part)
                if (isApart || part == blank) && !word.isEmpty {
                    words.append(word)
                    word = []
                }
                if isApart { words.append([part]) } else if part != blank { word.append(part) }
            }
        }
        return word.isEmpty ? words : words + [word]
    }

    private func folded(_ code: Int) -> [Int] {
        if !jamo || !hangul.contains(code) { return fold[code] ?? [code] }
        let place = code - hangul.lowerBound
        let lead = 0x1100 + place / tails / vowels
        let vowel = 0x1161 + place / tails % vowels
        let tail = place % tails
        return tail == 0 ? [lead, vowel] : [lead, vowel, 0x11A7 + tail]
    }
}

/// The first word of a line and the hexadecimal numbers behind it.
private func fieldsOf(_ line: ArraySlice<Int>) throws -> (word: String, numbers: [Int]) {
    let fields = line.split(separator: blank, omittingEmptySubsequences: false).map { string(of: $0) }
    let numbers = try fields.dropFirst().map { field -> Int in
        guard let number = Int(field, radix: 16) else { throw EdgeError("\(field) is no number") }
        return number
    }
    return (fields[0], numbers)
}

/// Runs of numbers in rising order.
private struct Ranges: Sendable {
    private var runs: [ClosedRange<Int>] = []

    mutating func add(_ from: Int, _ to: Int) throws {
        guard from <= to, (runs.last?.upperBound ?? -1) < from else { throw EdgeError("ranges do not rise") }
        runs.append(from...to)
    }

    func contains(_ number: Int) -> Bool {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].lowerBound <= number { low = middle + 1 } else { high = middle }
        }
        return low > 0 && runs[low - 1].contains(number)
    }
}
