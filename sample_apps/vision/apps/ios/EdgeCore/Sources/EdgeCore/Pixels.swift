import Foundation

/// A picture: rows of pixels, each of 1 (gray), 3 (RGB) or 4 (RGBA, not premultiplied) bytes.
public struct Pixels: Sendable {
    public let width: Int
    public let height: Int
    public let channels: Int
    public let bytes: [UInt8]

    public init(width: Int, height: Int, channels: Int, bytes: [UInt8]) throws {
        guard width > 0, height > 0 else { throw EdgeError("a picture of \(width) x \(height) pixels") }
        guard [1, 3, 4].contains(channels) else { throw EdgeError("a picture of \(channels) channels") }
        guard bytes.count == width * height * channels else {
            throw EdgeError("\(bytes.count) bytes for \(width) x \(height) pixels of \(channels) channels")
        }
        self.init(known: width, height, channels, bytes)
    }

    /// A picture whose numbers are known to fit.
    init(known width: Int, _ height: Int, _ channels: Int, _ bytes: [UInt8]) {
        self.width = width
        self.height = height
        self.channels = channels
        self.bytes = bytes
    }

    /// An opaque picture of the rows of a Core Graphics bitmap: red, green, blue and a byte that is skipped.
    ///
    /// Rows begin `rowBytes` bytes apart.
    public static func ofColors(
        width: Int, height: Int, rowBytes: Int, _ raw: UnsafeRawBufferPointer
    ) throws -> Pixels {
        guard width > 0, height > 0, rowBytes >= 4 * width, raw.count >= (height - 1) * rowBytes + 4 * width else {
            throw EdgeError("\(raw.count) bytes for \(width) x \(height) pixels in rows of \(rowBytes)")
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: width * height * 3) { out, count in
            var place = 0
            for y in 0..<height {
                for from in stride(from: y * rowBytes, to: y * rowBytes + 4 * width, by: 4) {
                    out[place] = raw[from]
                    out[place + 1] = raw[from + 1]
                    out[place + 2] = raw[from + 2]
                    place += 3
                }
            }
            count = place
        }
        return Pixels(known: width, height, 3, bytes)
    }
}

/// The picture with so many channels; gray ones are equal and opaque.
///
/// Gray is (19595 R + 38470 G + 7471 B + 32768) >> 16, as in Pillow.
public func recolored(_ pixels: Pixels, _ channels: Int, gray: Bool) -> Pixels {
    let mono = gray || channels == 1
    if pixels.channels == channels && (!mono || channels == 1) { return pixels }
    let size = pixels.channels
    var out = [UInt8](repeating: 255, count: pixels.width * pixels.height * channels)
    for pixel in 0..<(pixels.width * pixels.height) {
        let from = pixel * size
        let to = pixel * channels
        let luma = mono || size == 1 ? lumaOf(pixels, from) : 0
        for channel in 0..<min(channels, 3) {
            out[to + channel] = mono || size == 1 ? luma : pixels.bytes[from + channel]
        }
        if channels == 4 && size == 4 && !mono { out[to + 3] = pixels.bytes[from + 3] }
    }
    return Pixels(known: pixels.width, pixels.height, channels, out)
}

private func lumaOf(_ pixels: Pixels, _ place: Int) -> UInt8 {
    if pixels.channels == 1 { return pixels.bytes[place] }
    let red = Int(pixels.bytes[place])
    let green = Int(pixels.bytes[place + 1])
    let blue = Int(pixels.bytes[place + 2])
    return UInt8((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)
}

/// The picture turned as its EXIF orientation asks, 1 to 8; any other leaves it as it is.
public func upright(_ pixels: Pixels, _ orientation: Int) -> Pixels {
    if !(2...8).contains(orientation) { return pixels }
    let turned = orientation >= 5
    let flipRows = turned ? orientation >= 7 : orientation == 3 || orientation == 4
    let flipColumns = turned ? orientation == 6 || orientation == 7 : orientation <= 3
    let width = turned ? pixels.height : pixels.width
    let height = turned ? pixels.width : pixels.height
    let size = pixels.channels
    let bytes = [UInt8](unsafeUninitializedCapacity: pixels.bytes.count) { out, count in
        pixels.bytes.withUnsafeBufferPointer { given in
            for y in 0..<height {
                let row = flipRows ? height - 1 - y : y
                for x in 0..<width {
                    let column = flipColumns ? width - 1 - x : x
                    let from = turned ? column * pixels.width + row : row * pixels.width + column
                    for channel in 0..<size {
                        out[(y * width + x) * size + channel] = given[from * size + channel]
                    }
                }
            }
        }
        count = pixels.bytes.count
    }
    return Pixels(known: width, height, size, bytes)
}
