import XCTest
@testable import EdgeCore

/// Stored numbers of a quantized output: real = (stored + 1) / 2.
private final class Fake: Model {
    let outputs: [UInt8]
    var calls = 0

    init(_ outputs: [UInt8]) {
        self.outputs = outputs
    }

    func run(_ inputs: [TensorData]) throws -> Outcome {
        calls += 1
        let tensor = try TensorData(dtype: .int8, shape: [1, outputs.count], bytes: Data(outputs))
        return Outcome(outputs: [tensor], seconds: 0.002)
    }
}

final class SelfTestTests: XCTestCase {
    private let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        let model = folder.appendingPathComponent("model.mlpackage/Data")
        let golden = folder.appendingPathComponent("golden")
        try FileManager.default.createDirectory(at: model, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(at: golden, withIntermediateDirectories: true)
        try Data("abc".utf8).write(to: model.appendingPathComponent("weights"))
        try Data("abc".utf8).write(to: folder.appendingPathComponent("labels.txt"))
        try Data([0, 0, 0x80, 0x3F, 0, 0, 0, 0x40]).write(to: golden.appendingPathComponent("numbers"))
        let entry = #"[{"file": "numbers", "dtype": "float32", "shape": [1, 2]}]"#
        try Data(#"{"cases": [{"inputs": \#(entry), "outputs": \#(entry)}]}"#.utf8)
            .write(to: golden.appendingPathComponent("golden.json"))
        let manifest = #"""
        {
          "task": {"kind": "generic", "files": [{"path": "labels.txt", "sha256": "\#(abc)", "bytes": 3}]},
          "runtime": {"name": "Core ML", "version": "iOS 17"},
          "models": [{
            "name": "it's \"q\" $x 😀",
            "variant": "coreml-fp16",
            "golden": "golden",
            "artifact": {
              "file": "model.mlpackage",
              "sha256": "00",
              "files": [{"path": "model.mlpackage/Data/weights", "sha256": "\#(abc)", "bytes": 3}],
              "signature": {
                "inputs": [{"name": "größe", "dtype": "float32", "shape": ["batch", 2], "quantization": null}],
                "outputs": [
                  {"name": "y", "dtype": "int8", "shape": [1, 2], "peak": 2,
                   "quantization": {"scale": 0.5, "zero_point": -1}}
                ]
              }
            },
            "limits": {"min_sqnr_db": 20, "min_argmax_agreement": 0.95}
          }]
        }
        """#
        try Data(manifest.utf8).write(to: folder.appendingPathComponent("edgepack.json"))
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    private func info() throws -> ModelInfo { try XCTUnwrap(try Manifest(folder: folder).models.first) }

    private func report(_ outputs: [UInt8]) throws -> Report {
        let info = try info()
        let golden = try readGolden(folder: folder.appendingPathComponent(info.golden))
        return try selfTest(info, golden, Fake(outputs))
    }

    func testTheManifestIsRead() throws {
        let manifest = try Manifest(folder: folder)
        let info = try manifest.model("it's \"q\" $x 😀")
        XCTAssertEqual(manifest.runtime.name, "Core ML")
        XCTAssertEqual(info.inputs[0].description, "größe float32[batch, 2]")
        XCTAssertEqual(info.inputs[0].sizes, [1, 2])
        let stored = try TensorData(dtype: .int8, shape: [1], bytes: Data([3]))
        XCTAssertEqual(info.outputs[0].real(stored), [2])
        XCTAssertThrowsError(try manifest.model("another"))
    }

    func testAGoodModelPassesAndIsTimed() throws {
        let model = Fake([1, 3])
        let golden = try readGolden(folder: folder.appendingPathComponent("golden"))
        let report = try selfTest(info(), golden, model)
        XCTAssertEqual(report.verdict, .pass, report.lines.joined(separator: "\n"))
        XCTAssertEqual(model.calls, 11)
        XCTAssertEqual(report.lines.last, "time     2 ms median of 10 runs, 2 to 2")
    }

    func testABrokenLimitFailsAndIsNamed() throws {
        let report = try report([1, 2])
        XCTAssertEqual(report.verdict, .fail)
        XCTAssertTrue(report.lines.contains { $0.contains("SQNR 13.0103, limit 20") })
    }

    func testDisagreementAboutTheLargestFails() throws {
        let report = try report([3, 2])
        XCTAssertEqual(report.verdict, .fail)
        XCTAssertTrue(report.lines.contains { $0.contains("y: agreement 0, limit 0.95") })
    }

    func testWithoutCasesNothingIsCheckedAndThatIsNoPass() throws {
        XCTAssertEqual(try selfTest(info(), [], Fake([])).verdict, .notRun)
    }

    func testAnUntouchedModelIsAccepted() throws {
        try info().verify(folder: folder)
    }

    func testAChangedModelIsRefused() throws {
        try Data("abd".utf8).write(to: folder.appendingPathComponent("model.mlpackage/Data/weights"))
        XCTAssertThrowsError(try info().verify(folder: folder))
    }

    func testAFileThatWasAddedToTheModelIsRefused() throws {
        try Data().write(to: folder.appendingPathComponent("model.mlpackage/more"))
        XCTAssertThrowsError(try info().verify(folder: folder))
    }

    func testAFileOfTheTaskIsReadIfItIsUntouched() throws {
        XCTAssertEqual(try readTaskFile("labels.txt", folder: folder), Data("abc".utf8))
        XCTAssertThrowsError(try readTaskFile("edgepack.json", folder: folder))
        try Data("abd".utf8).write(to: folder.appendingPathComponent("labels.txt"))
        XCTAssertThrowsError(try readTaskFile("labels.txt", folder: folder)) { error in
            XCTAssertTrue(message(of: error).hasPrefix("the sha256 of labels.txt is "), message(of: error))
        }
    }

    func testAManifestThatDoesNotDecodeSaysWhere() throws {
        try Data(#"{"runtime": {"name": 1}}"#.utf8).write(to: folder.appendingPathComponent("edgepack.json"))
        XCTAssertThrowsError(try Manifest(folder: folder)) { error in
            XCTAssertTrue(message(of: error).contains("runtime"), message(of: error))
        }
    }

    func testTheWorstVerdictOfSeveralModelsCounts() {
        let pass = Report(title: "one", verdict: .pass, lines: ["a"])
        let unrun = Report(title: "two", verdict: .notRun, lines: ["b"])
        let fail = Report(title: "three", verdict: .fail, lines: ["c"])
        XCTAssertEqual(joined("app", [pass, unrun]).verdict, .notRun)
        XCTAssertEqual(joined("app", [fail, unrun, pass]).verdict, .fail)
        XCTAssertEqual(joined("app", []).verdict, .notRun)
        XCTAssertEqual(joined("app", [pass, unrun]).lines, ["one: PASS", "a", "", "two: NOT RUN", "b"])
        XCTAssertEqual(joined("app", [pass]).lines, ["a"])
    }

    func testNumbersAreShownTheSameInEveryLanguage() {
        let expected: [(Double, String)] = [
            (0, "0"), (1, "1"), (-2.5, "-2.5"), (123456, "123456"), (0.9999997, "0.9999997"),
            (1e-5, "1.000e-05"), (-3.2e7, "-3.200e+07"),
            (.nan, "nan"), (.infinity, "inf"), (-.infinity, "-inf"),
        ]
        for (value, text) in expected { XCTAssertEqual(shown(value), text) }
    }
}
