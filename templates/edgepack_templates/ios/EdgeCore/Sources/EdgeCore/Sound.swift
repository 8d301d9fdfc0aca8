import Foundation

/// 16-bit samples as floats from -1 to 1.
public func fromPcm16(_ samples: [Int16]) -> [Float] { samples.map { Float($0) / 32768 } }

/// Samples from -1 to 1 as 16 bits: times 32768, halves to even, clipped.
public func toPcm16(_ samples: [Float]) -> [Int16] {
    samples.map { sample in
        let whole = (Double(sample) * 32768).rounded(.toNearestOrEven)
        return whole.isNaN ? 0 : Int16(min(32767, max(-32768, whole)))
    }
}

/// The mean of all channels; `samples` holds one after the other of each moment.
public func mono(_ samples: [Float], _ channels: Int) -> [Float] {
    (0..<(samples.count / channels)).map { moment in
        var sum = 0.0
        for channel in 0..<channels { sum += Double(samples[moment * channels + channel]) }
        return Float(sum / Double(channels))
    }
}

private let zeroCrossings = 64.0
private let rolloff = 0.94
private let kaiserBeta = 12.0
private let mostPhases = 2000

/// The sound as if recorded at another rate: ceil(samples * wanted / rate) of them.
///
/// Sample k is the sound at place k * rate / wanted through a sinc in a Kaiser window, 64 zero crossings
/// to both sides, its corner at 0.94 of the lower Nyquist frequency. Each phase's weights add up to 1.
public func resample(_ samples: [Float], _ rate: Int, _ wanted: Int) throws -> [Float] {
    guard rate > 0, wanted > 0 else { throw EdgeError("sound cannot be resampled from \(rate) to \(wanted) Hz") }
    if rate == wanted { return samples }
    let shared = greatestCommonDivisor(rate, wanted)
    let up = wanted / shared
    let down = rate / shared
    guard up <= mostPhases else {
        throw EdgeError("sound cannot be resampled from \(rate) to \(wanted) Hz: an odd ratio")
    }
    let count = (samples.count * up + down - 1) / down
    var phases = [[Double]](repeating: [], count: up)
    let reach = filterReach(up, down)
    return samples.withUnsafeBufferPointer { samples in
        (0..<count).map { index in
            let phase = index * down % up
            if phases[phase].isEmpty { phases[phase] = filterPhase(phase, up, down) }
            let first = index * down / up + 1 - reach
            var sum = 0.0
            phases[phase].withUnsafeBufferPointer { taps in
                for tap in max(0, -first)..<max(0, -first, min(taps.count, samples.count - first)) {
                    sum += taps[tap] * Double(samples[first + tap])
                }
            }
            return Float(sum)
        }
    }
}

private func greatestCommonDivisor(_ one: Int, _ other: Int) -> Int {
    other == 0 ? one : greatestCommonDivisor(other, one % other)
}

private func filterReach(_ up: Int, _ down: Int) -> Int {
    Int((zeroCrossings / (rolloff * min(1, Double(up) / Double(down)))).rounded(.up))
}

/// Weights around a place phase / up behind a sample, from 1 - reach samples before it on.
private func filterPhase(_ phase: Int, _ up: Int, _ down: Int) -> [Double] {
    let corner = rolloff * min(1, Double(up) / Double(down))
    let width = zeroCrossings / corner
    let reach = filterReach(up, down)
    let taps = (0..<(2 * reach)).map { index -> Double in
        let distance = Double(1 - reach + index) - Double(phase) / Double(up)
        let inside = 1 - (distance / width) * (distance / width)
        let angle = Double.pi * corner * distance
        let sinc = angle != 0 ? sin(angle) / angle : 1
        return inside > 0 ? sinc * besselI0(kaiserBeta * inside.squareRoot()) : 0
    }
    let total = taps.reduce(0, +)
    return taps.map { $0 / total }
}

/// The modified Bessel function of the first kind and order 0, by its series.
private func besselI0(_ x: Double) -> Double {
    var total = 1.0
    var term = 1.0
    var step = 1.0
    while term > total * 1e-17 {
        let factor = x / (2 * step)
        term *= factor * factor
        total += term
        step += 1
    }
    return total
}

/// How a recording becomes windows of `size` samples, one every `hop`.
///
/// before: zeros in front of the first sample. tail: whether samples that fill no whole window are
/// filled up with zeros or dropped.
public struct Frames: Codable, Sendable {
    public enum Tail: String, Codable, Sendable {
        case pad, drop
    }

    public let sampleRate: Int
    public let size: Int
    public let hop: Int
    public let before: Int
    public let tail: Tail

    enum CodingKeys: String, CodingKey {
        case size, hop, before, tail
        case sampleRate = "sample_rate"
    }
}

/// Windows of a recording; window k starts at sample k * hop - before.
public func frames(_ samples: [Float], _ settings: Frames) -> [[Float]] {
    let beyond = settings.before + samples.count - settings.size
    let count: Int
    if settings.tail == .pad {
        count = (beyond > 0 ? (beyond + settings.hop - 1) / settings.hop : 0) + 1
    } else {
        count = beyond >= 0 ? beyond / settings.hop + 1 : 0
    }
    return (0..<count).map { index in
        let first = index * settings.hop - settings.before
        return (first..<(first + settings.size)).map { samples.indices.contains($0) ? samples[$0] : 0 }
    }
}

/// Places from -beyond to count + beyond - 1, those outside mirrored at the first and last sample.
func mirrored(_ count: Int, _ beyond: Int) -> [Int] {
    let period = max(1, 2 * (count - 1))
    return (-beyond..<(count + beyond)).map { place in
        let folded = ((place % period) + period) % period
        return count == 1 ? 0 : min(folded, period - folded)
    }
}
