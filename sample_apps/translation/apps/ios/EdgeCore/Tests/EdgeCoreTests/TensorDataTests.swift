import XCTest
@testable import EdgeCore

final class TensorDataTests: XCTestCase {
    private func numbers(_ dtype: DType, _ bytes: [UInt8]) throws -> [Double] {
        try TensorData(dtype: dtype, shape: [bytes.count / dtype.size], bytes: Data(bytes)).numbers()
    }

    func testEveryDtypeIsReadAsLittleEndian() throws {
        XCTAssertEqual(try numbers(.float32, [0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC0]), [1, -2.5])
        XCTAssertEqual(try numbers(.float16, [0, 0x3C, 0, 0xC0]), [1, -2])
        XCTAssertEqual(try numbers(.float64, [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]), [1])
        XCTAssertEqual(try numbers(.int64, [0xFE, 255, 255, 255, 255, 255, 255, 255]), [-2])
        XCTAssertEqual(try numbers(.int32, [2, 1, 0, 0]), [258])
        XCTAssertEqual(try numbers(.int16, [255, 255]), [-1])
        XCTAssertEqual(try numbers(.int8, [0x80, 0x7F]), [-128, 127])
        XCTAssertEqual(try numbers(.uint8, [0x80, 0x7F]), [128, 127])
        XCTAssertEqual(try numbers(.bool, [0, 1]), [0, 1])
    }

    func testHalvesAreReadWithSubnormalsAndSpecials() {
        XCTAssertEqual(double(ofHalf: 0x7BFF), 65504)
        XCTAssertEqual(double(ofHalf: 0x0001), 5.9604644775390625e-8)
        XCTAssertEqual(double(ofHalf: 0xFC00), -Double.infinity)
        XCTAssertTrue(double(ofHalf: 0x7E00).isNaN)
    }

    func testAWrongNumberOfBytesIsRefused() {
        XCTAssertThrowsError(try TensorData(dtype: .float32, shape: [2], bytes: Data(count: 7)))
    }

    func testATensorWithoutAxesHoldsOneNumber() throws {
        XCTAssertEqual(try TensorData(dtype: .int8, shape: [], bytes: Data([3])).numbers(), [3])
    }

    func testPaddedRowsAreClosedUp() throws {
        let raw: [UInt8] = [1, 2, 99, 99, 3, 4, 99, 99]
        let bytes = try raw.withUnsafeBytes { try packed($0, shape: [2, 2], strides: [4, 1], size: 1) }
        XCTAssertEqual(Array(bytes), [1, 2, 3, 4])
        let turned = try raw.withUnsafeBytes { try packed($0, shape: [2, 2], strides: [1, 4], size: 1) }
        XCTAssertEqual(Array(turned), [1, 3, 2, 4])
        let wide = try raw.withUnsafeBytes { try packed($0, shape: [2], strides: [2], size: 2) }
        XCTAssertEqual(Array(wide), [1, 2, 3, 4])
    }

    func testStridesWithoutPadding() throws {
        XCTAssertEqual(rowMajorStrides([2, 3, 4]), [12, 4, 1])
        XCTAssertEqual(rowMajorStrides([]), [])
        let raw: [UInt8] = [1, 2, 3, 4, 99]
        let bytes = try raw.withUnsafeBytes { try packed($0, shape: [2, 2], strides: [2, 1], size: 1) }
        XCTAssertEqual(Array(bytes), [1, 2, 3, 4])
    }

    func testStridesThatLeaveTheBufferAreRefused() {
        let raw: [UInt8] = [1, 2, 3]
        XCTAssertThrowsError(
            try raw.withUnsafeBytes { try packed($0, shape: [2, 2], strides: [2, 1], size: 1) }
        )
    }
}
