import Foundation

/// How a picture becomes an input of width x height pixels.
///
/// resize: length of the shorter side in pixels before the centre crop; 0 stretches to the size.
/// layout: whether the axis of the channels is the first or the last. Float dtypes hold
/// (pixel * scale - mean) / std, the others the pixels. mean, std: one value or one per channel, in the
/// order of the colours.
public struct ImageInput: Codable, Sendable {
    public enum Layout: String, Codable, Sendable {
        case channelsFirst = "channels-first"
        case channelsLast = "channels-last"
    }

    public enum Color: String, Codable, Sendable {
        case rgb, bgr, gray
    }

    public let width: Int
    public let height: Int
    public let channels: Int
    public let layout: Layout
    public let dtype: DType
    public let resize: Int
    public let interpolation: Interpolation
    public let color: Color
    public let scale: Double
    public let mean: [Double]
    public let std: [Double]

    /// Throws unless the numbers fit each other.
    func check() throws {
        for values in [mean, std] where values.count != 1 && values.count != channels {
            throw EdgeError("\(values.count) values of mean or std for \(channels) channels")
        }
        if std.contains(0) { throw EdgeError("std is 0") }
        guard width > 0, height > 0, [1, 3, 4].contains(channels) else {
            throw EdgeError("an image of \(width) x \(height) pixels of \(channels) channels")
        }
    }
}

/// The input that the settings make of a picture, without an axis for the batch.
public func prepare(_ pixels: Pixels, _ image: ImageInput) throws -> TensorData {
    try image.check()
    let cut = try resizedAndCropped(recolored(pixels, image.channels, gray: image.color == .gray), image)
    let size = image.channels
    let count = image.width * image.height
    let isPlanar = image.layout == .channelsFirst
    var values = [Double](repeating: 0, count: count * size)
    for channel in 0..<size {
        let mirrored = image.color == .bgr && size > 1 && channel < 3
        let from = mirrored ? 2 - channel : channel
        let table = table(image, channel)
        for pixel in 0..<count {
            let place = isPlanar ? channel * count + pixel : pixel * size + channel
            values[place] = table[Int(cut.bytes[pixel * size + from])]
        }
    }
    let shape = isPlanar ? [size, image.height, image.width] : [image.height, image.width, size]
    return try TensorData(dtype: image.dtype, shape: shape, bytes: stored(values, image.dtype))
}

/// The middle of the resized picture.
private func resizedAndCropped(_ pixels: Pixels, _ image: ImageInput) throws -> Pixels {
    var width = image.width
    var height = image.height
    if image.resize > 0 {
        let ratio = Double(image.resize) / Double(min(pixels.width, pixels.height))
        width = max(width, Int((Double(pixels.width) * ratio).rounded(.toNearestOrEven)))
        height = max(height, Int((Double(pixels.height) * ratio).rounded(.toNearestOrEven)))
    }
    return try resizeAndCut(
        pixels, width, height, (width - image.width) / 2, (height - image.height) / 2,
        image.width, image.height, image.interpolation
    )
}

/// What each of the 256 values of a channel becomes.
private func table(_ image: ImageInput, _ channel: Int) -> [Double] {
    if image.dtype.isExact { return (0..<256).map { Double($0) } }
    let mean = image.mean[image.mean.count == 1 ? 0 : channel]
    let std = image.std[image.std.count == 1 ? 0 : channel]
    return (0..<256).map { (Double($0) * image.scale - mean) / std }
}

/// Numbers as the bytes of a tensor.
public func stored(_ values: [Double], _ dtype: DType) -> Data {
    switch dtype {
    case .float32: return bytes(values) { Float($0).bitPattern }
    case .float16: return bytes(values) { half(of: $0) }
    case .float64: return bytes(values) { $0.bitPattern }
    case .int64: return bytes(values) { whole(of: $0, Int64.self) }
    case .int32: return bytes(values) { whole(of: $0, Int32.self) }
    case .int16: return bytes(values) { whole(of: $0, Int16.self) }
    case .int8: return bytes(values) { whole(of: $0, Int8.self) }
    case .uint8, .bool: return bytes(values) { whole(of: $0, UInt8.self) }
    }
}

private func bytes<T: FixedWidthInteger>(_ values: [Double], _ pattern: (Double) -> T) -> Data {
    var out = Data(count: values.count * MemoryLayout<T>.size)
    out.withUnsafeMutableBytes { raw in
        for (place, value) in values.enumerated() {
            raw.storeBytes(
                of: pattern(value).littleEndian, toByteOffset: place * MemoryLayout<T>.size, as: T.self)
        }
    }
    return out
}

/// The whole part of a number, or the nearest that fits.
private func whole<T: FixedWidthInteger>(of value: Double, _ type: T.Type) -> T {
    T(exactly: value.rounded(.towardZero)) ?? (value > 0 ? T.max : value < 0 ? T.min : 0)
}

/// The 16 bits of the IEEE half that is nearest, of two the even one.
public func half(of value: Double) -> UInt16 {
    let sign: UInt16 = value.sign == .minus && !value.isNaN ? 0x8000 : 0
    let magnitude = abs(value)
    if value.isNaN { return 0x7E00 }
    if magnitude >= 65520 { return sign | 0x7C00 }
    if magnitude < pow(2, -14) {
        return sign | UInt16((magnitude * pow(2, 24)).rounded(.toNearestOrEven))
    }
    let exponent = Int(magnitude.exponent)
    let fraction = Int((magnitude / pow(2, Double(exponent - 10))).rounded(.toNearestOrEven)) - 0x400
    return sign | UInt16(((exponent + 15) << 10) + fraction)
}
