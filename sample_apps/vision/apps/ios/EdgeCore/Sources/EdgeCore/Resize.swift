import Foundation

/// How a picture is resampled.
public enum Interpolation: String, Codable, Sendable, CaseIterable {
    case nearest, bilinear, bicubic, lanczos

    /// How far the filter reaches when it enlarges.
    var reach: Double {
        switch self {
        case .nearest: return 0
        case .bilinear: return 1
        case .bicubic: return 2
        case .lanczos: return 3
        }
    }

    /// The filter within its reach.
    func kernel(_ place: Double) -> Double {
        let x = abs(place)
        switch self {
        case .nearest: return 1
        case .bilinear: return 1 - x
        case .bicubic: return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * -0.5
        case .lanczos: return sinc(place) * sinc(place / 3)
        }
    }

    private func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
}

private let fractionBits: Int32 = 22

/// Part of one direction of a resize: `count` places from `first` on, of `whole` that `size` become.
private struct Span {
    let size: Int
    let whole: Int
    let first: Int
    let count: Int
}

/// For each place of a span the first of `size` that counts, and the weights from there on.
private struct Weights {
    let first: [Int]
    let taps: [[Int32]]

    var begin: Int { first.min() ?? 0 }
    var end: Int { zip(first, taps).map { $0 + $1.count }.max() ?? 0 }
}

/// The picture with another size, every pixel the one that Pillow's Image.resize gives.
public func resize(_ pixels: Pixels, _ width: Int, _ height: Int, _ interpolation: Interpolation) throws -> Pixels {
    try resizeAndCut(pixels, width, height, 0, 0, width, height, interpolation)
}

/// A part of the resized picture: `width` x `height` pixels from (left, top) on.
///
/// The width changes first and the result is rounded to 8 bits; only where the height loses more than
/// twice the pixels that the width loses it changes first, as in Pillow since 13. Weights are whole
/// multiples of 2**-22. RGBA is premultiplied around it, except for nearest.
/// Source: Pillow 13.0, Resample.c and Geometry.c.
public func resizeAndCut(
    _ pixels: Pixels, _ wholeWidth: Int, _ wholeHeight: Int, _ left: Int, _ top: Int,
    _ width: Int, _ height: Int, _ interpolation: Interpolation
) throws -> Pixels {
    guard width > 0, height > 0, left >= 0, top >= 0, left + width <= wholeWidth, top + height <= wholeHeight else {
        throw EdgeError("\(width) x \(height) pixels from (\(left), \(top)) on of \(wholeWidth) x \(wholeHeight)")
    }
    let columns = Span(size: pixels.width, whole: wholeWidth, first: left, count: width)
    let rows = Span(size: pixels.height, whole: wholeHeight, first: top, count: height)
    let isWhole = wholeWidth == pixels.width && wholeHeight == pixels.height
    if isWhole || interpolation == .nearest {
        return pick(pixels, nearestPlaces(columns), nearestPlaces(rows))
    }
    let alpha = pixels.channels == 4
    let given = alpha ? Pixels(known: pixels.width, pixels.height, 4, premultiplied(pixels.bytes)) : pixels
    let fewerRows = pixels.height - wholeHeight
    let across = weights(columns, interpolation)
    let down = weights(rows, interpolation)
    let done: Pixels
    if fewerRows > 0 && fewerRows > 2 * (pixels.width - wholeWidth) {
        done = resampleRows(resampleColumns(given, down, 0), across, 0, height)
    } else {
        let needed = resampleRows(given, across, down.begin, down.end - down.begin)
        done = resampleColumns(needed, down, down.begin)
    }
    return alpha ? Pixels(known: width, height, 4, unmultiplied(done.bytes)) : done
}

/// For each place the one that is taken; summed up step by step, as Pillow does.
private func nearestPlaces(_ span: Span) -> [Int] {
    let step = Double(span.size) / Double(span.whole)
    var place = step * 0.5
    var all: [Int] = []
    for _ in 0..<(span.first + span.count) {
        all.append(min(Int(place), span.size - 1))
        place += step
    }
    return Array(all.dropFirst(span.first))
}

private func pick(_ pixels: Pixels, _ columns: [Int], _ rows: [Int]) -> Pixels {
    let size = pixels.channels
    var out: [UInt8] = []
    out.reserveCapacity(rows.count * columns.count * size)
    for y in rows {
        for x in columns {
            let from = (y * pixels.width + x) * size
            out.append(contentsOf: pixels.bytes[from..<(from + size)])
        }
    }
    return Pixels(known: columns.count, rows.count, size, out)
}

private func weights(_ span: Span, _ interpolation: Interpolation) -> Weights {
    let places = Array(span.first..<(span.first + span.count))
    if span.size == span.whole {
        return Weights(first: places, taps: places.map { _ in [1 << fractionBits] })
    }
    let scale = Double(span.size) / Double(span.whole)
    let stretch = max(scale, 1)
    let support = interpolation.reach * stretch
    let inverse = 1 / stretch
    var first: [Int] = []
    var taps: [[Int32]] = []
    for place in places {
        let center = (Double(place) + 0.5) * scale
        let begin = max(0, Int(center - support + 0.5))
        let end = min(span.size, Int(center + support + 0.5))
        let real = (0..<(end - begin)).map { x -> Double in
            let step = (Double(x + begin) - center + 0.5) * inverse
            return -interpolation.reach <= step && step < interpolation.reach ? interpolation.kernel(step) : 0
        }
        var total = 0.0
        for weight in real { total += weight }
        first.append(begin)
        taps.append(real.map { fixed(total != 0 ? $0 / total : $0) })
    }
    return Weights(first: first, taps: taps)
}

/// A weight as a multiple of 2**-22, halves rounded away from 0.
private func fixed(_ weight: Double) -> Int32 {
    Int32(weight * Double(1 << fractionBits) + (weight < 0 ? -0.5 : 0.5))
}

/// `count` rows from `from` on, each resampled.
private func resampleRows(_ pixels: Pixels, _ weights: Weights, _ from: Int, _ count: Int) -> Pixels {
    let size = pixels.channels
    let width = weights.first.count
    let bytes = [UInt8](unsafeUninitializedCapacity: count * width * size) { out, filled in
        pixels.bytes.withUnsafeBufferPointer { given in
            for x in 0..<width {
                weights.taps[x].withUnsafeBufferPointer { taps in
                    for y in 0..<count {
                        let start = ((from + y) * pixels.width + weights.first[x]) * size
                        for channel in 0..<size {
                            var sum: Int32 = 1 << (fractionBits - 1)
                            var at = start + channel
                            for tap in taps {
                                sum &+= Int32(given[at]) &* tap
                                at += size
                            }
                            out[(y * width + x) * size + channel] = clipped(sum)
                        }
                    }
                }
            }
        }
        filled = count * width * size
    }
    return Pixels(known: width, count, size, bytes)
}

/// All columns, each resampled; the picture begins with row `begin` of the whole one.
private func resampleColumns(_ pixels: Pixels, _ weights: Weights, _ begin: Int) -> Pixels {
    let stride = pixels.width * pixels.channels
    let height = weights.first.count
    var sums = [Int32](repeating: 0, count: stride)
    let bytes = [UInt8](unsafeUninitializedCapacity: height * stride) { out, filled in
        pixels.bytes.withUnsafeBufferPointer { given in
            sums.withUnsafeMutableBufferPointer { sums in
                for y in 0..<height {
                    sums.update(repeating: 1 << (fractionBits - 1))
                    for (index, tap) in weights.taps[y].enumerated() {
                        let start = (weights.first[y] - begin + index) * stride
                        for x in 0..<stride { sums[x] &+= Int32(given[start + x]) &* tap }
                    }
                    for x in 0..<stride { out[y * stride + x] = clipped(sums[x]) }
                }
            }
        }
        filled = height * stride
    }
    return Pixels(known: pixels.width, height, pixels.channels, bytes)
}

private func clipped(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> fractionBits) }

/// RGBA with the colours times alpha.
private func premultiplied(_ given: [UInt8]) -> [UInt8] {
    var out = given
    for pixel in stride(from: 0, to: given.count, by: 4) {
        let alpha = Int(given[pixel + 3])
        for place in pixel..<(pixel + 3) {
            let product = Int(given[place]) * alpha + 128
            out[place] = UInt8(((product >> 8) + product) >> 8)
        }
    }
    return out
}

/// RGBA with the colours divided by alpha, towards 0; untouched where alpha is 0 or 255.
private func unmultiplied(_ given: [UInt8]) -> [UInt8] {
    var out = given
    for pixel in stride(from: 0, to: given.count, by: 4) {
        let alpha = Int(given[pixel + 3])
        if alpha == 0 || alpha == 255 { continue }
        for place in pixel..<(pixel + 3) { out[place] = UInt8(min(255, 255 * Int(given[place]) / alpha)) }
    }
    return out
}
