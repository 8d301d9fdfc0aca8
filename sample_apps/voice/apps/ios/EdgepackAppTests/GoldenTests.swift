import XCTest
@testable import EdgepackApp

/// The app's own check, run on a device or a simulator by Product > Test.
final class GoldenTests: XCTestCase {
    func testTheModelGivesOnThisDeviceWhatItsSourceGave() async {
        let faults = await faults()
        XCTAssertEqual(faults, [], faults.joined(separator: "\n"))
    }
}
