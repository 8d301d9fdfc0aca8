import Foundation

/// What a model gave for one call: its outputs, and the seconds of the call alone.
public struct Outcome: Sendable {
    public let outputs: [TensorData]
    public let seconds: Double

    public init(outputs: [TensorData], seconds: Double) {
        self.outputs = outputs
        self.seconds = seconds
    }
}

/// A loaded model. Not for two threads at once.
public protocol Model {
    func run(_ inputs: [TensorData]) throws -> Outcome
}

public enum Verdict: String, Sendable {
    case pass = "PASS"
    case fail = "FAIL"
    case notRun = "NOT RUN"
}

/// The model's name, the answer, and the whole story in lines for a person.
public struct Report: Sendable {
    public let title: String
    public let verdict: Verdict
    public let lines: [String]

    public init(title: String, verdict: Verdict, lines: [String]) {
        self.title = title
        self.verdict = verdict
        self.lines = lines
    }
}

private let timedRuns = 10
private let shownNumbers = 6

/// Feed every golden case to the model and judge its outputs by the limits.
public func selfTest(_ info: ModelInfo, _ golden: [GoldenCase], _ model: any Model) throws -> Report {
    var lines = describe(info)
    guard let first = golden.first else {
        lines.append("There are no golden cases of this model, so nothing was checked.")
        return Report(title: info.name, verdict: .notRun, lines: lines)
    }
    var agreements = [[Double]](repeating: [], count: info.outputs.count)
    var failed = false
    for (number, example) in golden.enumerated() {
        let outcome = try model.run(example.inputs)
        lines += ["", "case \(number + 1)"]
        for (index, output) in info.outputs.enumerated() {
            let reference = example.outputs[index]
            let actual = output.real(outcome.outputs[index])
            let peak = output.peak ?? 0
            let metrics = try compare(reference, actual, peak: peak)
            let faults = broken(metrics, reference.dtype, info.limits, peak: peak)
            if let agreement = metrics.agreement { agreements[index].append(agreement) }
            failed = failed || !faults.isEmpty
            lines += describe(output, metrics, actual, faults)
        }
    }
    for (index, output) in info.outputs.enumerated() {
        let least = leastAgreement(first.outputs[index].dtype, info.limits)
        guard let least, !agreements[index].isEmpty else { continue }
        let agreement = agreements[index].reduce(0, +) / Double(agreements[index].count)
        if !(agreement >= least) {
            failed = true
            lines.append("\(output.name): agreement \(shown(agreement)), limit \(shown(least))")
        }
    }
    lines += ["", try timing(first, model)]
    return Report(title: info.name, verdict: failed ? .fail : .pass, lines: lines)
}

/// One report of all models: the worst verdict, and everything there is to say.
public func joined(_ title: String, _ reports: [Report]) -> Report {
    let order: [Verdict] = [.fail, .notRun, .pass]
    let worst = order.first { verdict in reports.contains { $0.verdict == verdict } } ?? .notRun
    let lines = reports.flatMap { report in
        (reports.count > 1 ? ["\(report.title): \(report.verdict.rawValue)"] : []) + report.lines + [""]
    }
    return Report(title: title, verdict: worst, lines: Array(lines.dropLast()))
}

/// A number with enough digits to tell a good result from a bad one, the same in every language.
public func shown(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value > 0 ? "inf" : "-inf" }
    if value == 0 { return "0" }
    let plain = abs(value) >= 1e-3 && abs(value) < 1e6
    return String(format: plain ? "%.7g" : "%.3e", value)
}

private func describe(_ info: ModelInfo) -> [String] {
    ["variant  \(info.variant)", "sha256   \(info.artifact.sha256)"]
        + info.inputs.map { "input    \($0)" } + info.outputs.map { "output   \($0)" }
}

private func describe(
    _ info: TensorInfo, _ metrics: Metrics, _ actual: [Double], _ faults: [String]
) -> [String] {
    let start = actual.prefix(shownNumbers).map(shown).joined(separator: " ")
    let more = actual.count > shownNumbers ? " …" : ""
    let error = "max error \(shown(metrics.maxAbs)), SQNR \(shown(metrics.sqnrDb)) dB"
    let agreement = metrics.agreement.map { ", agreement \(shown(100 * $0)) %" } ?? ""
    return [
        "  \(info.name): \(faults.isEmpty ? "pass" : "FAIL")",
        "    \(error), cosine \(shown(metrics.cosine))\(agreement)",
        "    \(start)\(more)",
    ] + faults.map { "    \($0)" }
}

private func timing(_ example: GoldenCase, _ model: any Model) throws -> String {
    let millis = try (0..<timedRuns).map { _ in try model.run(example.inputs).seconds * 1000 }.sorted()
    let range = "\(shown(millis[0])) to \(shown(millis[timedRuns - 1]))"
    return "time     \(shown(millis[timedRuns / 2])) ms median of \(timedRuns) runs, \(range)"
}
