import XCTest
@testable import EdgeCore

/// A model that works out its outputs in a few lines of Swift, by the names of its tensors.
private final class Toy: Model {
    typealias Work = ([String: TensorData]) throws -> [String: [Double]]

    let info: ModelInfo
    private(set) var seen: [[TensorData]] = []
    private let work: Work

    init(
        _ inputs: KeyValuePairs<String, [Int]>, _ outputs: KeyValuePairs<String, [Int]>, integers: Set<String> = [],
        _ work: @escaping Work
    ) throws {
        func entries(_ tensors: KeyValuePairs<String, [Int]>) -> String {
            tensors.map { name, shape in
                let dtype = integers.contains(name) ? "int32" : "float32"
                return #"{"name": "\#(name)", "dtype": "\#(dtype)", "shape": \#(shape)}"#
            }.joined(separator: ", ")
        }
        let json = #"""
        {"name": "toy", "variant": "coreml-fp32", "golden": "golden/toy", "limits": {},
         "artifact": {"file": "model.mlpackage", "sha256": "00", "files": [],
                      "signature": {"inputs": [\#(entries(inputs))], "outputs": [\#(entries(outputs))]}}}
        """#
        info = try JSONDecoder().decode(ModelInfo.self, from: Data(json.utf8))
        self.work = work
    }

    func run(_ inputs: [TensorData]) throws -> Outcome {
        seen.append(inputs)
        for (info, data) in zip(info.inputs, inputs) {
            XCTAssertEqual(info.dtype, data.dtype, info.name)
            XCTAssertEqual(info.sizes, data.shape, info.name)
        }
        let made = try work(Dictionary(uniqueKeysWithValues: zip(info.inputs.map(\.name), inputs)))
        let outputs = try info.outputs.map { output in
            try TensorData(dtype: output.dtype, shape: output.sizes, values: try XCTUnwrap(made[output.name]))
        }
        return Outcome(outputs: outputs, seconds: 0)
    }
}

final class TasksTests: XCTestCase {
    private let files = [
        "labels.txt": "cat\ndog\ncow\n",
        "tokens.pieces": """
            edgepack pieces 1
            0\tcontrol\t<pad>
            0\tunknown\t<unk>
            0\tcontrol\t<s>
            0\tcontrol\t</s>
            -1\tnormal\t▁a
            -1\tnormal\t▁b
            -1\tnormal\t▁c
            -9\tnormal\t▁

            """,
        "bytes.pieces": """
            edgepack pieces 1
            0\tcontrol\t<|end|>
            0\tnormal\tĠyes
            0\tnormal\tĠno
            0\tcontrol\t<|start|>

            """,
    ]

    private func read(_ name: String) throws -> Data { Data(try XCTUnwrap(files[name]).utf8) }

    private func opener(_ toys: [String: Toy]) -> Opener {
        { name in
            let toy = try XCTUnwrap(toys[name])
            return Callee(toy.info, toy)
        }
    }

    private func task<Task: Decodable>(_ type: Task.Type, _ json: String) throws -> Task {
        try JSONDecoder().decode(type, from: Data(json.utf8))
    }

    private func values(_ name: String, _ inputs: [String: TensorData]) throws -> [Double] {
        try XCTUnwrap(inputs[name]).numbers()
    }

    func testAPictureIsNamed() async throws {
        let toy = try Toy(["x": [1, 3, 2, 2]], ["y": [1, 3]]) { inputs in
            let numbers = try self.values("x", inputs)
            return ["y": (0..<3).map { channel in numbers[channel * 4..<channel * 4 + 4].reduce(0, +) / 4 }]
        }
        let settings = try task(ClassificationTask.self, """
            {"kind": "image-classification", "model": "m", "input": "x", "output": "y",
            "image": {"width": 2, "height": 2, "channels": 3, "layout": "channels-first", "dtype": "float32",
                "resize": 0, "interpolation": "bilinear", "color": "rgb", "scale": 1, "mean": [0], "std": [1]},
            "classes": {"labels": "labels.txt", "activation": "none", "top": 2}}
            """)
        let classifier = try await Classifier(settings, read: read, open: opener(["m": toy]))
        let bytes = (0..<12).map { UInt8($0 % 3 == 1 ? 100 : 7) }
        let found = try classifier.classify(try Pixels(width: 2, height: 2, channels: 3, bytes: bytes)).classes
        XCTAssertEqual(found, [Named(label: "dog", probability: 100), Named(label: "cat", probability: 7)])
    }

    private let decoderNames = """
        {"model": "d", "token": "t", "position": "p", "logits": "l",
        "carried": [{"input": "k", "output": "nk"}], "given": ["e"]}
        """

    /// Writes down tokens e[place] until place 3; its cache counts the calls.
    private func decoder(_ vocabulary: Int, _ end: Int) throws -> Toy {
        try Toy(
            ["t": [1], "p": [1], "k": [1], "e": [1, 6]], ["l": [1, vocabulary], "nk": [1]], integers: ["t", "p"]
        ) { inputs in
            let place = Int(try self.values("p", inputs)[0])
            XCTAssertEqual(Double(place), try self.values("k", inputs)[0])
            let next = place == 3 ? end : Int(try self.values("e", inputs)[place])
            return ["l": (0..<vocabulary).map { $0 == next ? 5 : 0 }, "nk": [Double(place + 1)]]
        }
    }

    func testATextIsTranslatedLineByLine() async throws {
        let encoder = try Toy(["ids": [1, 6], "m": [1, 6]], ["e": [1, 6]], integers: ["ids"]) { inputs in
            ["e": Array(try self.values("ids", inputs).dropFirst()) + [0]]
        }
        let decoder = try decoder(8, 3)
        let settings = try task(TranslationTask.self, """
            {"kind": "translation", "languages": [{"name": "Spanish", "token": 7}],
            "tokenizer": {"type": "unigram", "pieces": "tokens.pieces", "rules": "", "add_dummy_prefix": true,
                "remove_extra_whitespaces": true, "byte_fallback": false, "unknown_surface": " ⁇ ",
                "before": [], "after": []},
            "encoder": {"model": "e", "tokens": "ids", "mask": "m", "length": 6, "filler": 0, "end": [3]},
            "decoder": \(decoderNames),
            "generation": {"start": [2], "end": 3, "longest": 6, "suppressed": [], "suppressed_first": [],
                "beams": 2, "length_penalty": 0.6}}
            """)
        let translator = try await Translator(settings, read: read, open: opener(["e": encoder, "d": decoder]))
        let language = try XCTUnwrap(translator.languages.first)
        XCTAssertEqual(language.name, "Spanish")
        XCTAssertEqual(translator.source("a b c", language).ids, [7, 4, 5, 6, 3])
        XCTAssertTrue(translator.source("a b c", language).isWhole)
        XCTAssertFalse(translator.source("a b c a b", language).isWhole)
        let made = try translator.translate("c b a\n\na b c a b c", language)
        XCTAssertEqual(made.text, "c b a\n\na b c")
        XCTAssertTrue(made.isCut)
        XCTAssertFalse(try translator.translate("a b c", nil).isCut)
        XCTAssertEqual(encoder.seen[0][1].numbers(), [1, 1, 1, 1, 1, 0])
        XCTAssertTrue(decoder.seen[0][3] === decoder.seen[1][3])
    }

    func testSpeechIsFoundAndWritten() async throws {
        let detector = try Toy(["x": [1, 6], "h": [1, 1]], ["p": [1, 1], "nh": [1, 1]]) { inputs in
            let isLoud = try self.values("x", inputs).suffix(4).contains { $0 > 0.5 }
            return ["p": [isLoud ? 0.9 : 0.1], "nh": [try self.values("h", inputs)[0] + 1]]
        }
        let encoder = try Toy(["mel": [1, 5, 5]], ["e": [1, 6]]) { _ in ["e": [0, 1, 2, 0, 0, 0]] }
        let settings = try task(VoiceTask.self, """
            {"kind": "voice",
            "detector": {"model": "v", "input": "x", "output": "p", "carried": [{"input": "h", "output": "nh"}],
                "frames": {"sample_rate": 1000, "size": 6, "hop": 4, "before": 2, "tail": "pad"}},
            "speech": {"sample_rate": 1000, "frame": 4, "threshold": 0.5, "release": 0.3, "min_speech_ms": 4,
                "min_silence_ms": 8, "pad_ms": 0, "longest_ms": 0},
            "features": {"sample_rate": 1000, "length": 20, "window": 8, "hop": 4, "center": "reflect",
                "drop_last": true, "power": 2, "bands": 0, "mel_scale": "slaney", "mel_norm": "area",
                "low_hz": 0, "high_hz": 500, "log": "log10", "floor": 1e-10, "range": 8, "offset": 4,
                "scale": 0.25, "layout": "bands-first"},
            "encoder": {"model": "e", "input": "mel"},
            "decoder": \(decoderNames),
            "tokenizer": {"type": "byte-level", "pieces": "bytes.pieces"},
            "generation": {"start": [3, 3], "end": 0, "longest": 6, "suppressed": [], "suppressed_first": [],
                "beams": 1, "length_penalty": 0.6}}
            """)
        let toys = ["v": detector, "e": encoder, "d": try decoder(4, 0)]
        let transcriber = try await Transcriber(settings, read: read, open: opener(toys))
        let sound = (0..<100).map { Float((20..<36).contains($0) || (60..<72).contains($0) ? 0.9 : 0) }
        let probabilities = try transcriber.probabilities(sound)
        XCTAssertEqual([probabilities[0], probabilities[6]], [0.1, 0.9])
        XCTAssertEqual(detector.seen.last?[1].numbers(), [24])
        let made = try transcriber.transcribe(sound)
        XCTAssertEqual(made.text, "yes no yes no")
        XCTAssertEqual(made.utterances.map(\.startSeconds), [0.02, 0.06])
        XCTAssertEqual(made.utterances.map(\.endSeconds), [0.036, 0.072])
        XCTAssertEqual(made.steps.map(\.name), ["find speech", "spectrogram", "encoder", "decoder, a token"])
        XCTAssertEqual(made.steps.map(\.calls), [1, 2, 2, 8])
        XCTAssertEqual(try transcriber.transcribe((0..<200).map { sound[$0 / 2] }, rate: 2000).text, made.text)
        XCTAssertEqual(made.utterances[0].tokens, [1, 2])
    }
}
