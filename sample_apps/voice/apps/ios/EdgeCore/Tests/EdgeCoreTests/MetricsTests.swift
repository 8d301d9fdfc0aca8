import XCTest
@testable import EdgeCore

final class MetricsTests: XCTestCase {
    private func tensor(_ shape: [Int], _ values: [Double]) throws -> TensorData {
        let bytes = values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init) }
        return try TensorData(dtype: .float64, shape: shape, bytes: Data(bytes))
    }

    func testMetricsOfAnErrorThatIsEasyToWorkOut() throws {
        // error 0, 0, 0, 1; signal 1 + 4 + 9 + 16 = 30; noise 1; power 1 + 4 + 9 + 9 = 23; product 26
        let metrics = try compare(tensor([2, 2], [1, 2, 3, 4]), [1, 2, 3, 3], peak: 8)
        XCTAssertEqual(metrics.maxAbs, 1)
        XCTAssertEqual(metrics.sqnrDb, 14.771212547196624, accuracy: 1e-12)
        XCTAssertEqual(metrics.psnrDb, 24.082399653118497, accuracy: 1e-12)
        XCTAssertEqual(metrics.cosine, 0.9898030839149452, accuracy: 1e-12)
        XCTAssertEqual(metrics.agreement, 0.5)
        XCTAssertEqual(metrics.unfit, 0)
    }

    func testTheLimitOfTheErrorGrowsWithThePeak() throws {
        let metrics = try compare(tensor([1], [1]), [1.5], peak: 10)
        XCTAssertEqual(broken(metrics, .float32, ["max_abs": 0.1], peak: 10), [])
        XCTAssertEqual(broken(metrics, .float32, ["max_abs": 0.1], peak: 1).count, 1)
    }

    func testEqualOutputsAreInfinitelyGood() throws {
        let metrics = try compare(tensor([2], [0, 0]), [0, 0], peak: 0)
        XCTAssertEqual(metrics.sqnrDb, .infinity)
        XCTAssertEqual(metrics.cosine, 1)
        XCTAssertEqual(broken(metrics, .float32, ["min_sqnr_db": 20, "max_abs": 0], peak: 0), [])
    }

    func testSilenceIsNotLikeSound() throws {
        XCTAssertEqual(try compare(tensor([1], [1]), [0], peak: 1).cosine, 0)
    }

    func testNotANumberBreaksEveryLimit() throws {
        for wrong in [Double.nan, Double.infinity] {
            let metrics = try compare(tensor([2], [1, 2]), [1, wrong], peak: 2)
            XCTAssertEqual(broken(metrics, .float32, [:], peak: 2).count, 1)
            XCTAssertEqual(broken(metrics, .float32, ["max_abs": 1e9], peak: 2).count, 2)
            XCTAssertEqual(broken(metrics, .float32, ["min_sqnr_db": -1e9], peak: 2).count, 2)
        }
    }

    func testWholeNumbersAgreeOrDoNot() throws {
        let reference = try TensorData(dtype: .int8, shape: [4], bytes: Data([1, 2, 3, 4]))
        let metrics = try compare(reference, [1, 2, 3, 5], peak: 4)
        XCTAssertEqual(metrics.agreement, 0.75)
        XCTAssertEqual(broken(metrics, .int8, ["max_abs": 0], peak: 4), [])
        XCTAssertEqual(leastAgreement(.int8, ["max_abs": 0]), 1)
        XCTAssertEqual(leastAgreement(.bool, ["min_sqnr_db": 20]), 0.99)
        XCTAssertEqual(leastAgreement(.int64, ["min_argmax_agreement": 0.5]), 0.5)
        XCTAssertNil(leastAgreement(.float32, ["max_abs": 0]))
    }

    func testARowOfOneNumberHasNoLargest() throws {
        XCTAssertNil(try compare(tensor([2, 1], [1, 2]), [1, 2], peak: 2).agreement)
    }
}
