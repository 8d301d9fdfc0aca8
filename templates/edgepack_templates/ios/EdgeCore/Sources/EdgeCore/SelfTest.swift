import Foundation

/// What a model gave for one call: its outputs as real numbers, and the seconds of the call alone.
public struct Outcome: Sendable {
    public let outputs: [[Double]]
    public let seconds: Double

    public init(outputs: [[Double]], seconds: Double) {
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
public func selfTest(_ manifest: Manifest, _ golden: [GoldenCase], _ model: any Model) throws -> Report {
    var lines = describe(manifest)
    guard let first = golden.first else {
        lines.append("There are no golden cases in this app, so nothing was checked.")
        return Report(title: manifest.model.name, verdict: .notRun, lines: lines)
    }
    let infos = manifest.artifact.signature.outputs
    var agreements = [[Double]](repeating: [], count: infos.count)
    var failed = false
    for (number, example) in golden.enumerated() {
        let outcome = try model.run(example.inputs)
        lines += ["", "case \(number + 1)"]
        for (index, info) in infos.enumerated() {
            let reference = example.outputs[index]
            let actual = outcome.outputs[index]
            let peak = info.peak ?? 0
            let metrics = try compare(reference, actual, peak: peak)
            let faults = broken(metrics, reference.dtype, manifest.limits, peak: peak)
            if let agreement = metrics.agreement { agreements[index].append(agreement) }
            failed = failed || !faults.isEmpty
            lines += describe(info, metrics, actual, faults)
        }
    }
    for (index, info) in infos.enumerated() {
        let least = leastAgreement(first.outputs[index].dtype, manifest.limits)
        guard let least, !agreements[index].isEmpty else { continue }
        let agreement = agreements[index].reduce(0, +) / Double(agreements[index].count)
        if !(agreement >= least) {
            failed = true
            lines.append("\(info.name): agreement \(shown(agreement)), limit \(shown(least))")
        }
    }
    lines += ["", try timing(first, model)]
    return Report(title: manifest.model.name, verdict: failed ? .fail : .pass, lines: lines)
}

/// A number with enough digits to tell a good result from a bad one, the same in every language.
public func shown(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value > 0 ? "inf" : "-inf" }
    if value == 0 { return "0" }
    let plain = abs(value) >= 1e-3 && abs(value) < 1e6
    return String(format: plain ? "%.7g" : "%.3e", value)
}

private func describe(_ manifest: Manifest) -> [String] {
    let head = [
        "variant  \(manifest.variant)",
        "runtime  \(manifest.runtime.name) \(manifest.runtime.version)",
        "sha256   \(manifest.artifact.sha256)",
    ]
    let inputs = manifest.artifact.signature.inputs.map { "input    \($0)" }
    let outputs = manifest.artifact.signature.outputs.map { "output   \($0)" }
    return head + inputs + outputs
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
