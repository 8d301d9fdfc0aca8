import Foundation

/// How far the device's output is from the reference, summed in double precision.
///
/// agreement: for whole numbers and booleans the part that is equal, for others the part of the rows
/// whose largest number is in the same place; nil where a row has one number. unfit: how many numbers
/// are infinite or no numbers at all.
public struct Metrics: Sendable {
    public let maxAbs: Double
    public let sqnrDb: Double
    public let psnrDb: Double
    public let cosine: Double
    public let agreement: Double?
    public let unfit: Int
}

/// Metrics of one output; `peak` is the largest absolute number that the reference ever has.
public func compare(_ reference: TensorData, _ actual: [Double], peak: Double) throws -> Metrics {
    let expected = reference.numbers()
    guard expected.count == actual.count else {
        throw EdgeError("\(actual.count) numbers, expected \(expected.count)")
    }
    var maxAbs = 0.0
    var noise = 0.0
    var signal = 0.0
    var power = 0.0
    var product = 0.0
    for (wanted, found) in zip(expected, actual) {
        let error = abs(wanted - found)
        maxAbs = error > maxAbs || error.isNaN ? error : maxAbs
        noise += error * error
        signal += wanted * wanted
        power += found * found
        product += wanted * found
    }
    let isExact = reference.dtype.isExact
    return Metrics(
        maxAbs: maxAbs,
        sqnrDb: decibels(signal, noise),
        psnrDb: decibels(peak * peak * Double(expected.count), noise),
        cosine: cosine(signal, power, product),
        agreement: isExact ? equal(expected, actual) : argmaxAgreement(reference, expected, actual),
        unfit: actual.filter { !$0.isFinite }.count
    )
}

extension DType {
    /// A count, an index or a flag is right or wrong; distances between them mean nothing.
    public var isExact: Bool {
        switch self {
        case .float32, .float16, .float64: return false
        case .int64, .int32, .int16, .int8, .uint8, .bool: return true
        }
    }
}

/// What one output of one case breaks of the limits, in words; empty when all hold.
public func broken(
    _ metrics: Metrics, _ dtype: DType, _ limits: [String: Double], peak: Double
) -> [String] {
    var faults: [String] = []
    if metrics.unfit > 0 { faults.append("\(metrics.unfit) numbers are not finite") }
    if dtype.isExact { return faults }
    if let limit = limits["max_abs"] {
        let scaled = limit * max(1, peak)
        if !(metrics.maxAbs <= scaled) {
            faults.append("max error \(shown(metrics.maxAbs)), limit \(shown(scaled))")
        }
    }
    let least = [
        ("min_cosine", "cosine", metrics.cosine),
        ("min_psnr_db", "PSNR", metrics.psnrDb),
        ("min_sqnr_db", "SQNR", metrics.sqnrDb),
    ]
    for (name, words, value) in least {
        guard let limit = limits[name] else { continue }
        if !(value >= limit) { faults.append("\(words) \(shown(value)), limit \(shown(limit))") }
    }
    return faults
}

/// The least agreement over all cases that an output must reach, nil when any will do.
public func leastAgreement(_ dtype: DType, _ limits: [String: Double]) -> Double? {
    if let given = limits["min_argmax_agreement"] { return given }
    if !dtype.isExact { return nil }
    return limits["max_abs"] == nil ? 0.99 : 1
}

private func decibels(_ signal: Double, _ noise: Double) -> Double {
    if noise.isNaN { return .nan }
    return noise == 0 ? .infinity : 10 * log10(signal / noise)
}

private func cosine(_ signal: Double, _ power: Double, _ product: Double) -> Double {
    if signal == 0 && power == 0 { return 1 }
    if signal == 0 || power == 0 { return 0 }
    return product / (signal.squareRoot() * power.squareRoot())
}

private func equal(_ expected: [Double], _ actual: [Double]) -> Double {
    if expected.isEmpty { return 1 }
    let same = zip(expected, actual).filter { $0.0 == $0.1 }
    return Double(same.count) / Double(expected.count)
}

private func argmaxAgreement(
    _ reference: TensorData, _ expected: [Double], _ actual: [Double]
) -> Double? {
    let row = reference.shape.last ?? 1
    if row < 2 || actual.isEmpty { return nil }
    let starts = Array(stride(from: 0, to: expected.count, by: row))
    let agreed = starts.filter { argmax(expected, $0, row) == argmax(actual, $0, row) }
    return Double(agreed.count) / Double(starts.count)
}

/// Index of the first largest number of a row, -1 if it holds one that is not a number.
private func argmax(_ data: [Double], _ start: Int, _ row: Int) -> Int {
    var best = 0
    for index in 0..<row {
        if data[start + index].isNaN { return -1 }
        if data[start + index] > data[start + best] { best = index }
    }
    return best
}
