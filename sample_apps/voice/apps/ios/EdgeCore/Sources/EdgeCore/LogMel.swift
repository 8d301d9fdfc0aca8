import Foundation

/// How a recording becomes a spectrogram in mel bands.
///
/// length: samples that zeros fill up to or that are kept; 0 takes the recording as long as it is.
/// window, hop: samples of each frame, under a Hann window, and between frames. center: what lies half a
/// window beyond both ends. power: 1 or 2. bands: 0 keeps the plain spectrum. log: of no less than
/// `floor`. range: how far below the loudest the quietest may be; 0 for any. The result is
/// (value + offset) * scale.
public struct LogMel: Codable, Sendable {
    public enum Center: String, Codable, Sendable {
        case reflect, zeros, none
    }

    public enum MelScale: String, Codable, Sendable {
        case slaney, htk
    }

    public enum MelNorm: String, Codable, Sendable {
        case area, peak
    }

    public enum Logarithm: String, Codable, Sendable {
        case log10, ln, none
    }

    public enum Layout: String, Codable, Sendable {
        case bandsFirst = "bands-first"
        case framesFirst = "frames-first"
    }

    public let sampleRate: Int
    public let length: Int
    public let window: Int
    public let hop: Int
    public let center: Center
    public let dropLast: Bool
    public let power: Int
    public let bands: Int
    public let melScale: MelScale
    public let melNorm: MelNorm
    public let lowHz: Double
    public let highHz: Double
    public let log: Logarithm
    public let floor: Double
    public let range: Double
    public let offset: Double
    public let scale: Double
    public let layout: Layout

    enum CodingKeys: String, CodingKey {
        case length, window, hop, center, power, bands, log, floor, range, offset, scale, layout
        case sampleRate = "sample_rate"
        case dropLast = "drop_last"
        case melScale = "mel_scale"
        case melNorm = "mel_norm"
        case lowHz = "low_hz"
        case highHz = "high_hz"
    }
}

/// A spectrogram: `bands` x `frames` numbers, or frames first, as the settings ask.
public struct Spectrogram: Sendable {
    public let bands: Int
    public let frames: Int
    public let values: [Float]
}

/// The spectrogram of a recording. Throws when it gives no frame.
public func logMel(_ samples: [Float], _ settings: LogMel) throws -> Spectrogram {
    let given = try whole(samples, settings)
    let beyond = given.count - settings.window
    let count = (beyond < 0 ? 0 : beyond / settings.hop + 1) - (settings.dropLast ? 1 : 0)
    guard count > 0 else {
        throw EdgeError("a recording of \(samples.count) samples gives no frame of \(settings.window)")
    }
    let plain = settings.window / 2 + 1
    let banks = settings.bands > 0 ? melBands(settings) : []
    let rows = settings.bands > 0 ? settings.bands : plain
    let hann = (0..<settings.window).map { 0.5 - 0.5 * cos(2 * Double.pi * Double($0) / Double(settings.window)) }
    let fourier = Fourier(settings.window)
    var frame = [Double](repeating: 0, count: settings.window)
    var power = [Double](repeating: 0, count: plain)
    var levels = [Double](repeating: 0, count: rows * count)
    for index in 0..<count {
        var isSilent = true
        for place in frame.indices {
            let sample = given[index * settings.hop + place]
            isSilent = isSilent && sample == 0
            frame[place] = sample * hann[place]
        }
        // What was filled up with zeros is most of a short command, and needs no transform.
        for k in power.indices { power[k] = 0 }
        if !isSilent { fourier.power(frame, &power) }
        if settings.power == 1 { for k in power.indices { power[k] = power[k].squareRoot() } }
        for row in 0..<rows {
            let value = settings.bands > 0 ? banks[row].of(power) : power[row]
            levels[row * count + index] = logarithm(value, settings)
        }
    }
    if settings.range > 0 && settings.log != .none {
        let least = (levels.max() ?? 0) - settings.range
        for place in levels.indices { levels[place] = max(levels[place], least) }
    }
    let isRowByRow = settings.layout == .bandsFirst
    let values = levels.indices.map { place -> Float in
        let from = isRowByRow ? place : place % rows * count + place / rows
        return Float((levels[from] + settings.offset) * settings.scale)
    }
    return Spectrogram(bands: rows, frames: count, values: values)
}

/// The samples cut or filled up to the length, and what lies beyond their ends.
private func whole(_ samples: [Float], _ settings: LogMel) throws -> [Double] {
    let length = settings.length > 0 ? settings.length : samples.count
    let kept = samples.prefix(length).map { Double($0) }
    let filled = kept + [Double](repeating: 0, count: length - kept.count)
    let half = settings.window / 2
    switch settings.center {
    case .none: return filled
    case .zeros:
        let silence = [Double](repeating: 0, count: half)
        return silence + filled + silence
    case .reflect:
        guard length > 0 else { throw EdgeError("the recording holds no sound") }
        return mirrored(length, half).map { filled[$0] }
    }
}

private func logarithm(_ value: Double, _ settings: LogMel) -> Double {
    switch settings.log {
    case .log10: return log10(max(value, settings.floor))
    case .ln: return log(max(value, settings.floor))
    case .none: return value
    }
}

/// What the frequencies from `first` on give to a band.
struct Band {
    let first: Int
    let weights: [Double]

    func of(_ power: [Double]) -> Double {
        var sum = 0.0
        for index in weights.indices { sum += weights[index] * power[first + index] }
        return sum
    }
}

/// Triangles from lowHz to highHz. Source: Slaney, Auditory Toolbox, 1998; The HTK Book, 5.4.
func melBands(_ settings: LogMel) -> [Band] {
    let slaney = settings.melScale == .slaney
    let low = slaney ? slaneyMel(settings.lowHz) : htkMel(settings.lowHz)
    let high = slaney ? slaneyMel(settings.highHz) : htkMel(settings.highHz)
    let step = (high - low) / Double(settings.bands + 1)
    let edges = (0..<(settings.bands + 2)).map { edge -> Double in
        let mel = low + step * Double(edge)
        return slaney ? slaneyHertz(mel) : htkHertz(mel)
    }
    let spacing = Double(settings.sampleRate) / Double(settings.window)
    return (0..<settings.bands).map { band in
        let (first, middle, last) = (edges[band], edges[band + 1], edges[band + 2])
        let height = settings.melNorm == .area ? 2 / (last - first) : 1
        let row = (0...(settings.window / 2)).map { k -> Double in
            let hertz = Double(k) * spacing
            return max(0, min((hertz - first) / (middle - first), (last - hertz) / (last - middle))) * height
        }
        guard let begin = row.firstIndex(where: { $0 > 0 }), let end = row.lastIndex(where: { $0 > 0 }) else {
            return Band(first: 0, weights: [])
        }
        return Band(first: begin, weights: Array(row[begin...end]))
    }
}

private let bendHz = 1000.0
private let bendMel = 15.0
private let hzPerMel = 200.0 / 3.0
private let melStep = log(6.4) / 27.0

private func slaneyMel(_ hertz: Double) -> Double {
    hertz < bendHz ? hertz / hzPerMel : bendMel + log(hertz / bendHz) / melStep
}

private func slaneyHertz(_ mel: Double) -> Double {
    mel < bendMel ? mel * hzPerMel : bendHz * exp((mel - bendMel) * melStep)
}

private func htkMel(_ hertz: Double) -> Double { 2595 * log10(1 + hertz / 700) }

private func htkHertz(_ mel: Double) -> Double { 700 * (pow(10, mel / 2595) - 1) }
