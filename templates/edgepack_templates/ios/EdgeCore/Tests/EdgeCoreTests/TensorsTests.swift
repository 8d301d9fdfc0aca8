import XCTest
@testable import EdgeCore

final class TensorsTests: XCTestCase {
    func testFloatsComeBackAsTheyWere() throws {
        let tensor = try tensorOf([1, -2.5, 3e-9], [1, 3])
        XCTAssertEqual(floatsOf(tensor), [1, -2.5, 3e-9])
        XCTAssertEqual(tensor.shape, [1, 3])
        XCTAssertEqual(Array(tensor.bytes.prefix(4)), [0, 0, 0x80, 0x3F])
        XCTAssertThrowsError(try tensorOf([0, 0, 0], [2, 2]))
    }

    func testTokensFitWhateverTheModelTakes() throws {
        for dtype in DType.allCases where dtype != .bool {
            let tensor = try tensorOf([0, 1, 120], dtype, [3])
            XCTAssertEqual(tensor.dtype, dtype)
            XCTAssertEqual(floatsOf(tensor), [0, 1, 120])
        }
        XCTAssertEqual(try tensorOf([51864], .int64, [1]).numbers(), [51864])
    }

    func testACacheBeginsWithZeros() throws {
        for dtype in DType.allCases {
            XCTAssertEqual(floatsOf(try zeros(dtype, [1, 2, 3])), [0, 0, 0, 0, 0, 0])
        }
        XCTAssertEqual(try zeros(.int32, []).count, 1)
    }
}
