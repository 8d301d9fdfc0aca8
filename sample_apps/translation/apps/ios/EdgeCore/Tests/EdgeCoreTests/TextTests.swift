import Foundation
import XCTest
@testable import EdgeCore

private struct Tokens: Decodable {
    struct Probe: Decodable {
        let text: String
        let ids: [Int]
    }

    let name: String?
    let settings: TokenizerSettings
    let files: [String: String]
    let encoded: [Probe]?
    let decoded: [Probe]?

    func read(_ name: String) throws -> Data { Data(try XCTUnwrap(files[name]).utf8) }
}

final class TextTests: XCTestCase {
    /// Equal by code points; Swift's own comparison takes those that look alike for equal.
    private func assertSame(_ expected: String, _ found: String, _ note: String) {
        XCTAssertEqual(codePointsOf(expected), codePointsOf(found), note)
    }

    private func check(_ tokens: Tokens) throws {
        if let probes = tokens.encoded {
            let encoder = try readEncoder(tokens.settings, read: tokens.read)
            for probe in probes { XCTAssertEqual(probe.ids, encoder.encode(probe.text), probe.text) }
        }
        if let probes = tokens.decoded {
            let decoder = try readDecoder(tokens.settings, read: tokens.read)
            for probe in probes { assertSame(probe.text, try decoder.decode(probe.ids), "\(probe.ids)") }
        }
    }

    func testUnigramIdsAndTextsAreThoseOfSentencePiece() throws {
        for tokens in try vectors("unigram", [Tokens].self) { try check(tokens) }
    }

    func testWordPiecesAreThoseOfBert() throws {
        for tokens in try vectors("wordpiece", [Tokens].self) { try check(tokens) }
    }

    func testBytesBecomeTextAsPythonDecodesThem() throws {
        try check(vectors("bytelevel", Tokens.self))
    }

    func testSettingsOfATokenizerAreWrittenAsTheyAreRead() throws {
        for tokens in try vectors("unigram", [Tokens].self) + vectors("wordpiece", [Tokens].self) {
            let written = try JSONEncoder().encode(tokens.settings)
            let again = try JSONEncoder().encode(JSONDecoder().decode(TokenizerSettings.self, from: written))
            let read = { (data: Data) in try JSONSerialization.jsonObject(with: data) as? NSDictionary }
            XCTAssertEqual(try read(written), try read(again))
        }
    }

    func testPiecesOfAnyCharactersAreRead() throws {
        let file = "edgepack pieces 1\n-1.5\tnormal\t\\t\\n\\r\\\\\\\\n\n0.0\tuser\t\u{2028}\u{85} \n1e-3\tbyte\t\n"
        let pieces = try readPieces(Data(file.utf8))
        XCTAssertEqual(["\t\n\r\\\\n", "\u{2028}\u{85} ", ""].map(codePointsOf), pieces.map(\.text))
        XCTAssertEqual([-1.5, 0, 1e-3], pieces.map(\.score))
    }

    func testBrokenFilesAreRefused() throws {
        let head = "edgepack pieces 1\n"
        let broken = [
            "", "edgepack pieces 2\n", "\(head)0.0\tnormal\ta", "\(head)\n", "\(head)x\tnormal\ta\n",
            "\(head)0\tqueer\ta\n", "\(head)0\tnormal\ta\\x\n", "\(head)0\tnormal\ta\\\n", "\(head)nan\tnormal\ta\n",
        ]
        for file in broken { XCTAssertThrowsError(try readPieces(Data(file.utf8)), file) }
        XCTAssertThrowsError(try readPieces(Data(head.utf8) + [0x30, 9, 255, 10]))
        XCTAssertThrowsError(try readRules(Data("edgepack rules 1\nno tab\n".utf8)))
        for line in ["fold", "fold x", "drop 1", "apart 2 1", "other 1 2"] {
            XCTAssertThrowsError(try Characters(Data("edgepack characters 1\n\(line)\n".utf8)), line)
        }
    }

    func testVocabulariesThatLackWhatIsNeededAreRefused() throws {
        let tokens = try vectors("unigram", [Tokens].self)[0]
        let plain = String(decoding: try JSONEncoder().encode(tokens.settings), as: UTF8.self)
        let bytes = try settings(TokenizerSettings.self, plain, ["byte_fallback": true])
        XCTAssertThrowsError(try readEncoder(bytes, read: tokens.read))
        let decoder = try readDecoder(tokens.settings, read: tokens.read)
        for id in [-1, 1_000_000] { XCTAssertThrowsError(try decoder.decode([id])) }
        XCTAssertThrowsError(try ByteLevel(Data("edgepack pieces 1\n0\tnormal\t日\n".utf8)))
        let level = try vectors("bytelevel", Tokens.self)
        XCTAssertThrowsError(try readEncoder(level.settings, read: level.read))
        XCTAssertThrowsError(try settings(TokenizerSettings.self, plain, ["type": "other"]))
    }

    func testLongTextsKeepTheirPrecision() throws {
        let tokens = try XCTUnwrap(vectors("unigram", [Tokens].self).first { $0.name == "plain" })
        let encoder = try readEncoder(tokens.settings, read: tokens.read)
        let tail = encoder.encode(String(repeating: "\u{E000}", count: 9000) + " door is open")
        XCTAssertTrue((3...12).contains(tail.count))
        XCTAssertEqual(encoder.encode("\u{E000} door is open"), tail)
    }
}
