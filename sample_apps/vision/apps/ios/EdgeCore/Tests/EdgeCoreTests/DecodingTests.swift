import Foundation
import XCTest
@testable import EdgeCore

private struct Answers: Decodable {
    struct Shares: Decodable {
        let logits: [Double]
        let values: [Double]
    }

    struct Top: Decodable {
        let values: [Double]
        let count: Int
        let places: [Int]
    }

    struct Text: Decodable {
        let tokens: [Int]
        let chance: Double
    }

    struct Frames: Decodable {
        let seed: Int
        let frames: Int
        let tokens: Int
        let blank: Int
        let beams: Int
        let candidates: Int
        let greedy: [Int]
        let texts: [Text]
    }

    struct Generated: Decodable {
        let seed: Int
        let settings: Generation
        let tokens: [Int]
    }

    struct Spoken: Decodable {
        let settings: Speech
        let probabilities: [Float]
        let samples: Int
        let stretches: [[Int]]
    }

    struct Labelled: Decodable {
        let file: String
        let labels: [String]?
    }

    let softmax: [Shares]
    let sigmoid: Shares
    let top: [Top]
    let ctc: [Frames]
    let generated: [Generated]
    let stretches: [Spoken]
    let labels: [Labelled]
}

final class DecodingTests: XCTestCase {
    private func given() throws -> Answers { try vectors("decoding", Answers.self) }

    /// A made decoder: its state is a number that all tokens so far have stirred.
    private func step(_ state: UInt32, _ token: Int, _ place: Int) -> Stepped<UInt32> {
        let after = state &* 31 &+ UInt32(token * 17 + place + 1)
        return Stepped(logits: wave(Int(after), 14).map { 3 * $0 }, state: after)
    }

    func testProbabilitiesAreRight() throws {
        let given = try given()
        for each in given.softmax { assertClose(each.values, softmax(each.logits), 1e-12) }
        assertClose(given.sigmoid.values, sigmoid(given.sigmoid.logits), 1e-12)
        for each in given.top { XCTAssertEqual(each.places, top(each.values, each.count)) }
        XCTAssertEqual([4, 1, 3, 0], top([.nan, 2, -.infinity, 2, 3], 4))
    }

    func testTranscriptsAreThoseOfEdgepack() throws {
        for each in try given().ctc {
            let values = wave(each.seed, each.frames * each.tokens).map { 4 * Double($0) }
            let logits = (0..<each.frames).map { frame in
                Array(values[(frame * each.tokens)..<((frame + 1) * each.tokens)])
            }
            XCTAssertEqual(each.greedy, ctcGreedy(logits, each.blank))
            let found = ctcBeam(logits, each.blank, beams: each.beams, candidates: each.candidates)
            XCTAssertEqual(each.texts.map(\.tokens), found.map(\.tokens))
            assertClose(each.texts.map(\.chance), found.map(\.chance), 1e-9)
        }
    }

    func testGeneratedTokensAreThoseOfEdgepack() throws {
        for each in try given().generated {
            XCTAssertEqual(each.tokens, try generate(step, UInt32(each.seed), each.settings), "\(each)")
        }
    }

    func testLogitsThatAreNoNumbersAreRefused() throws {
        let plain = #"""
        {"start": [0], "end": 1, "longest": 5, "suppressed": [], "suppressed_first": [], "beams": 1,
         "length_penalty": 0.6}
        """#
        for logits: [Float] in [[.nan, 1], [.infinity, 1], []] {
            for beams in 1...2 {
                let way = try settings(Generation.self, plain, ["beams": beams])
                XCTAssertThrowsError(try generate({ _, _, _ in Stepped(logits: logits, state: 0) }, 0, way))
            }
        }
        let none = try settings(Generation.self, plain, ["start": [Int]()])
        XCTAssertThrowsError(try generate(step, 0, none))
    }

    func testAStreamCarriesItsState() throws {
        var stream = try CarriedState([Carried(input: "h", output: "hn")], ["h": 0, "unused": 7])
        for turn in 0..<3 {
            XCTAssertEqual(["x": 1, "h": turn], stream.inputs(["x": 1]))
            XCTAssertEqual(["y": 5], try stream.take(["y": 5, "hn": turn + 1]))
        }
        XCTAssertThrowsError(try stream.take(["y": 5]))
    }

    func testSpeechIsFoundWhereEdgepackFindsIt() throws {
        for each in try given().stretches {
            let done = stretches(each.probabilities, each.samples, each.settings)
            XCTAssertEqual(each.stretches, done.map { [$0.first, $0.end] })
        }
    }

    func testLabelsAreReadAndNamed() throws {
        for each in try given().labels {
            let file = Data(each.file.utf8)
            if let labels = each.labels {
                XCTAssertEqual(labels.map(codePointsOf), try readLabels(file).map(codePointsOf))
            } else {
                XCTAssertThrowsError(try readLabels(file))
            }
        }
        XCTAssertThrowsError(try readLabels(Data([97, 255, 10])))
        let classes = try settings(Classes.self, #"{"labels": "l", "activation": "none", "top": 2}"#)
        let found = try classify([0, 2, 1], ["a", "b", "c"], classes)
        XCTAssertEqual([Named(label: "b", probability: 2), Named(label: "c", probability: 1)], found)
        XCTAssertThrowsError(try classify([0], ["a", "b"], classes))
    }
}
