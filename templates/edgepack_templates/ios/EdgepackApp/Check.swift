import EdgeCore
import Foundation

/// Load the model, feed it the golden cases. Takes a while: not for the main actor.
func check() async throws -> Report {
    guard let folder = Bundle.main.url(forResource: "Model", withExtension: nil) else {
        throw EdgeError("the app holds no folder Model")
    }
    let manifest = try Manifest(folder: folder)
    let golden = try readGolden(folder: folder.appendingPathComponent("golden"))
    let start = DispatchTime.now()
    let model = try await openModel(manifest, in: folder)
    let millis = seconds(since: start) * 1000
    let report = try selfTest(manifest, golden, model)
    let load = "load     \(shown(millis)) ms with the sha256 check"
    return Report(title: report.title, verdict: report.verdict, lines: report.lines + [load])
}

/// The same, with what went wrong as a failed report.
func checked() async -> Report {
    do {
        return try await check()
    } catch {
        return Report(title: "", verdict: .fail, lines: ["\(error)"])
    }
}

/// The story of the check unless it passed. The tests need no more of the app than this.
func faults() async -> [String] {
    let report = await checked()
    return report.verdict == .pass ? [] : [report.verdict.rawValue] + report.lines
}

func seconds(since start: DispatchTime) -> Double {
    Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
}
