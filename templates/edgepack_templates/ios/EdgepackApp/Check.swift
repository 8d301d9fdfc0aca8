import EdgeCore
import Foundation

/// Folder of the models, their manifest and their golden cases within the app.
func payload() throws -> URL {
    guard let folder = Bundle.main.url(forResource: "Model", withExtension: nil) else {
        throw EdgeError("the app holds no folder Model")
    }
    return folder
}

/// Load each model in turn, feed it its golden cases. Takes a while: not for the main actor.
func check() async throws -> Report {
    let folder = try payload()
    let manifest = try Manifest(folder: folder)
    try removeOldModels(manifest.models)
    var reports: [Report] = []
    for info in manifest.models {
        reports.append(try await check(info, in: folder))
    }
    let report = joined(manifest.models.map(\.name).joined(separator: ", "), reports)
    let runtime = "runtime  \(manifest.runtime.name) \(manifest.runtime.version)"
    return Report(title: report.title, verdict: report.verdict, lines: [runtime] + report.lines)
}

private func check(_ info: ModelInfo, in folder: URL) async throws -> Report {
    let golden = try readGolden(folder: folder.appendingPathComponent(info.golden))
    let start = DispatchTime.now()
    let model = try await openModel(info, in: folder)
    let millis = seconds(since: start) * 1000
    let report = try selfTest(info, golden, model)
    let load = "load     \(shown(millis)) ms with the sha256 check"
    return Report(title: report.title, verdict: report.verdict, lines: report.lines + [load])
}

/// The same, with what went wrong as a failed report.
func checked() async -> Report {
    do {
        return try await check()
    } catch {
        return Report(title: "", verdict: .fail, lines: [message(of: error)])
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
