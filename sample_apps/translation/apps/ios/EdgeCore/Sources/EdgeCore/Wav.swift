import Foundation

/// Sound of a file. rate: in Hz. samples: those of all channels of a moment, one moment after the other.
public struct Recording: Sendable {
    public let rate: Int
    public let channels: Int
    public let samples: [Int16]
}

private let pcm = 1
private let extensible = 0xFFFE
private let head = 44
private let formatSize = 16
private let subformat = 24
private let bitsOfSample = 16

/// A WAVE file of samples, one channel.
public func writeWav(_ samples: [Int16], _ rate: Int) -> Data {
    let size = 2 * samples.count
    var out = Data(capacity: head + size)
    func put<T: FixedWidthInteger>(_ number: T) {
        withUnsafeBytes(of: number.littleEndian) { out.append(contentsOf: $0) }
    }
    out.append(contentsOf: "RIFF".utf8)
    put(UInt32(head - 8 + size))
    out.append(contentsOf: "WAVEfmt ".utf8)
    put(UInt32(formatSize))
    put(UInt16(pcm))
    put(UInt16(1))
    put(UInt32(rate))
    put(UInt32(2 * rate))
    put(UInt16(2))
    put(UInt16(bitsOfSample))
    out.append(contentsOf: "data".utf8)
    put(UInt32(size))
    for sample in samples { put(sample) }
    return out
}

/// The recording in a WAVE file of 16-bit PCM. Throws for any other.
///
/// A file that breaks off is read as far as it goes; chunks that are neither format nor data are skipped.
public func readWav(_ data: Data) throws -> Recording {
    let bytes = Array(data)
    guard bytes.count >= 12, name(bytes, 0) == "RIFF", name(bytes, 8) == "WAVE" else {
        throw EdgeError("this is no WAVE file")
    }
    var format: (rate: Int, channels: Int)?
    var place = 12
    while place + 8 <= bytes.count {
        let start = place + 8
        let size = number(bytes, start - 4, 4)
        let length = min(size, bytes.count - start)
        switch name(bytes, start - 8) {
        case "fmt ": format = try formatOf(bytes, start, length)
        case "data":
            guard let (rate, channels) = format else { throw EdgeError("samples come before their format") }
            let count = length / (2 * channels) * channels
            let samples = (0..<count).map { Int16(truncatingIfNeeded: number(bytes, start + 2 * $0, 2)) }
            return Recording(rate: rate, channels: channels, samples: samples)
        default: break
        }
        place += 8 + size + size % 2
    }
    throw EdgeError("the file holds no samples")
}

private func name(_ bytes: [UInt8], _ start: Int) -> String {
    String(decoding: bytes[start..<(start + 4)], as: UTF8.self)
}

private func number(_ bytes: [UInt8], _ start: Int, _ size: Int) -> Int {
    (0..<size).reduce(0) { $0 | Int(bytes[start + $1]) << (8 * $1) }
}

/// Rate and number of channels.
private func formatOf(_ bytes: [UInt8], _ start: Int, _ length: Int) throws -> (rate: Int, channels: Int) {
    guard length >= formatSize else { throw EdgeError("the format of the samples breaks off") }
    let channels = number(bytes, start + 2, 2)
    let rate = number(bytes, start + 4, 4)
    let bits = number(bytes, start + 14, 2)
    let isExtensible = number(bytes, start, 2) == extensible && length >= subformat + 2
    let tag = number(bytes, isExtensible ? start + subformat : start, 2)
    guard tag == pcm, bits == bitsOfSample, channels > 0, rate > 0, rate < 1 << 31 else {
        throw EdgeError("format \(tag) with \(bits) bits, \(channels) channels at \(rate) Hz")
    }
    return (rate, channels)
}
