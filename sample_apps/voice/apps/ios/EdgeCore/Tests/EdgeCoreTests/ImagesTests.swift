import XCTest
@testable import EdgeCore

private struct Images: Decodable {
    struct Resize: Decodable {
        let seed: Int
        let from: [Int]
        let to: [Int]
        let interpolation: Interpolation
        let sha256: String
    }

    struct Turn: Decodable {
        let orientation: Int
        let sha256: String
    }

    struct Preparation: Decodable {
        let seed: Int
        let from: [Int]
        let settings: ImageInput
        let shape: [Int]
        let first: [Double]
        let sha256: String
    }

    let resizes: [Resize]
    let upright: [Turn]
    let prepared: [Preparation]
}

final class ImagesTests: XCTestCase {
    private func picture(_ seed: Int, _ size: [Int]) throws -> Pixels {
        try Pixels(width: size[0], height: size[1], channels: size[2], bytes: noise(seed, size.reduce(1, *)))
    }

    func testResizedPixelsAreThoseOfPillow() throws {
        for each in try vectors("images", Images.self).resizes {
            let done = try resize(picture(each.seed, each.from), each.to[0], each.to[1], each.interpolation)
            XCTAssertEqual(each.sha256, digestOf(Data(done.bytes)), "\(each)")
        }
    }

    func testPicturesAreTurnedUpright() throws {
        let given = try Pixels(width: 4, height: 3, channels: 3, bytes: noise(5, 36))
        for each in try vectors("images", Images.self).upright {
            XCTAssertEqual(each.sha256, digestOf(Data(upright(given, each.orientation).bytes)), "\(each)")
        }
    }

    func testInputsArePreparedToTheBit() throws {
        for each in try vectors("images", Images.self).prepared {
            let done = try prepare(picture(each.seed, each.from), each.settings)
            XCTAssertEqual(each.shape, done.shape)
            XCTAssertEqual(each.first, Array(done.numbers().prefix(4)))
            XCTAssertEqual(each.sha256, digestOf(done.bytes), "\(each)")
        }
    }

    func testRowsOfABitmapBecomePixels() throws {
        let raw: [UInt8] = [1, 2, 3, 0, 4, 5, 6, 0, 99, 99, 7, 8, 9, 0, 10, 11, 12, 0]
        let pixels = try raw.withUnsafeBytes { try Pixels.ofColors(width: 2, height: 2, rowBytes: 10, $0) }
        XCTAssertEqual(pixels.bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        XCTAssertThrowsError(
            try raw.withUnsafeBytes { try Pixels.ofColors(width: 2, height: 2, rowBytes: 11, $0) })
    }

    func testHalvesAreRoundedToEven() {
        let cases: [(Double, UInt16)] = [
            (1, 0x3C00), (-2, 0xC000), (65504, 0x7BFF), (65519.9, 0x7BFF), (65520, 0x7C00),
            (1 + 1 / 2048.0, 0x3C00), (1 + 3 / 2048.0, 0x3C02), (5.9604644775390625e-8, 1), (2.9e-8, 0),
            (.nan, 0x7E00), (-0.0, 0x8000), (-.infinity, 0xFC00), (2047.9999, 0x6800),
        ]
        for (value, bits) in cases { XCTAssertEqual(bits, half(of: value), "\(value)") }
        for bits in UInt16.min...UInt16.max where !double(ofHalf: bits).isNaN {
            XCTAssertEqual(bits, half(of: double(ofHalf: bits)))
        }
    }

    func testNumbersThatDoNotFitAreTheNearestThatDo() {
        XCTAssertEqual(Array(stored([-1, 3.9, 300, .nan], .uint8)), [0, 3, 255, 0])
        XCTAssertEqual(Array(stored([-129, -1.5, 1e9], .int8)), [0x80, 0xFF, 0x7F])
    }

    func testWhatDoesNotFitIsRefused() throws {
        XCTAssertThrowsError(try Pixels(width: 2, height: 2, channels: 3, bytes: noise(0, 11)))
        XCTAssertThrowsError(try Pixels(width: 2, height: 2, channels: 2, bytes: noise(0, 8)))
        let whole = #"""
        {"width": 2, "height": 2, "channels": 3, "layout": "channels-first", "dtype": "float32", "resize": 0,
         "interpolation": "bilinear", "color": "rgb", "scale": 1.0, "mean": [0.0], "std": [1.0]}
        """#
        let pixels = try Pixels(width: 2, height: 2, channels: 3, bytes: noise(0, 12))
        XCTAssertEqual(try prepare(pixels, settings(ImageInput.self, whole)).shape, [3, 2, 2])
        let changes: [[String: Any]] = [
            ["mean": [0, 1]], ["std": [0]], ["color": "red"], ["dtype": "float8"], ["width": 0], ["channels": 2],
        ]
        for change in changes {
            XCTAssertThrowsError(try prepare(pixels, settings(ImageInput.self, whole, change)), "\(change)")
        }
    }
}
