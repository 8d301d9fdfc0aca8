import Foundation
import XCTest
@testable import EdgeCore

/// The numbers of a file that this core, the one in Kotlin and edgepack itself must all give.
func vectors<T: Decodable>(_ name: String, _ type: T.Type) throws -> T {
    let file = try XCTUnwrap(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Contract"))
    return try JSONDecoder().decode(type, from: Data(contentsOf: file))
}

/// Settings as edgepack.json holds them, some of them changed.
func settings<T: Decodable>(_ type: T.Type, _ json: String, _ changes: [String: Any] = [:]) throws -> T {
    let found = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
    let changed = found.merging(changes) { _, new in new }
    return try JSONDecoder().decode(type, from: JSONSerialization.data(withJSONObject: changed))
}

/// Bytes that a seed stands for: the highest of each number of a linear congruential generator.
func noise(_ seed: Int, _ count: Int) -> [UInt8] {
    var state = UInt32(truncatingIfNeeded: seed &* 2_654_435_761)
    return (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(state >> 24)
    }
}

/// Sound that a seed stands for.
func wave(_ seed: Int, _ count: Int) -> [Float] { noise(seed, count).map { (Float($0) - 128) / 128 } }

/// Little-endian floats in base64.
func unpacked(_ packed: String) throws -> [Float] {
    let bytes = try bytesOf(packed)
    return try TensorData(dtype: .float32, shape: [bytes.count / 4], bytes: bytes).numbers().map { Float($0) }
}

func bytesOf(_ packed: String) throws -> Data { try XCTUnwrap(Data(base64Encoded: packed)) }

func digestOf(_ bytes: Data) -> String {
    var digest = PlainSHA256()
    digest.update(bytes)
    return digest.finalize().map { String(format: "%02x", $0) }.joined()
}

func digestOf(_ values: [[Float]]) -> String {
    digestOf(stored(values.flatMap { $0 }.map { Double($0) }, .float32))
}

/// Equal to 1e-5 of each number, and of 0.001 where it is smaller.
func assertClose(_ name: String, _ expected: [Float], _ found: [Float]) {
    XCTAssertEqual(expected.count, found.count, name)
    for (place, (wanted, number)) in zip(expected, found).enumerated() {
        let error = abs(Double(wanted) - Double(number))
        guard error > 1e-5 * max(1e-3, abs(Double(wanted))) else { continue }
        return XCTFail("\(name)[\(place)]: \(number), not \(wanted)")
    }
}

func assertClose(_ expected: [Double], _ found: [Double], _ tolerance: Double) {
    XCTAssertEqual(expected.count, found.count)
    for (wanted, number) in zip(expected, found) { XCTAssertEqual(wanted, number, accuracy: tolerance) }
}
