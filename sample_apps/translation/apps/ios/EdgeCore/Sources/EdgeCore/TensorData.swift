import Foundation

/// How the numbers of a tensor are stored: always little-endian, one byte for a boolean.
public enum DType: String, Codable, Sendable, CaseIterable {
    case float32, float16, float64, int64, int32, int16, int8, uint8, bool

    public var size: Int {
        switch self {
        case .float64, .int64: return 8
        case .float32, .int32: return 4
        case .float16, .int16: return 2
        case .int8, .uint8, .bool: return 1
        }
    }
}

/// What can be wrong with the files of the app or with what the runtime gave.
public struct EdgeError: Error, CustomStringConvertible, LocalizedError {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    public var errorDescription: String? { description }
}

/// What went wrong, for people. Of JSON that does not decode, only the whole story tells where.
public func message(of error: any Error) -> String {
    error is DecodingError ? "\(error)" : error.localizedDescription
}

/// A tensor: what its bytes mean, its size along each axis, and the bytes. Nobody changes it, so that a
/// runtime can tell by its identity whether it has it already.
public final class TensorData: Sendable {
    public let dtype: DType
    public let shape: [Int]
    public let bytes: Data

    public init(dtype: DType, shape: [Int], bytes: Data) throws {
        let count = shape.reduce(1, *)
        guard bytes.count == count * dtype.size else {
            throw EdgeError("\(bytes.count) bytes for \(count) numbers of \(dtype.rawValue)")
        }
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    public convenience init(shape: [Int], floats: [Float]) throws {
        try self.init(dtype: .float32, shape: shape, bytes: floats.withUnsafeBytes { Data($0) })
    }

    /// Numbers of any dtype, each as near as the dtype has it.
    public convenience init(dtype: DType, shape: [Int], values: [Double]) throws {
        try self.init(dtype: dtype, shape: shape, bytes: stored(values, dtype))
    }

    public static func zeros(dtype: DType, shape: [Int]) throws -> TensorData {
        try TensorData(dtype: dtype, shape: shape, bytes: Data(count: shape.reduce(dtype.size, *)))
    }

    public var count: Int { shape.reduce(1, *) }

    /// The same numbers in other axes, as many.
    public func shaped(_ shape: [Int]) throws -> TensorData {
        try TensorData(dtype: dtype, shape: shape, bytes: bytes)
    }

    /// The numbers, whatever their dtype; 64-bit integers beyond 2^53 lose their last digits.
    public func numbers() -> [Double] {
        switch dtype {
        case .float32: return read(UInt32.self).map { Double(Float(bitPattern: $0)) }
        case .float16: return read(UInt16.self).map { double(ofHalf: $0) }
        case .float64: return read(UInt64.self).map { Double(bitPattern: $0) }
        case .int64: return read(Int64.self).map { Double($0) }
        case .int32: return read(Int32.self).map { Double($0) }
        case .int16: return read(Int16.self).map { Double($0) }
        case .int8: return read(Int8.self).map { Double($0) }
        case .uint8: return bytes.map { Double($0) }
        case .bool: return bytes.map { $0 == 0 ? 0 : 1 }
        }
    }

    private func read<T: FixedWidthInteger>(_ type: T.Type) -> [T] {
        bytes.withUnsafeBytes { raw in
            (0..<count).map { index in
                T(littleEndian: raw.loadUnaligned(fromByteOffset: index * dtype.size, as: T.self))
            }
        }
    }
}

/// The number that the 16 bits of an IEEE half stand for.
public func double(ofHalf bits: UInt16) -> Double {
    let exponent = Int(bits >> 10) & 0x1F
    let fraction = Double(bits & 0x3FF)
    let magnitude: Double
    switch exponent {
    case 0: magnitude = fraction * pow(2, -24)
    case 0x1F: magnitude = fraction == 0 ? .infinity : .nan
    default: magnitude = (1024 + fraction) * pow(2, Double(exponent - 25))
    }
    return bits & 0x8000 == 0 ? magnitude : -magnitude
}

/// The bytes of a strided array, one number after the other.
///
/// A runtime may pad the rows of its outputs: strides count numbers, not bytes, one for each axis.
public func packed(_ raw: UnsafeRawBufferPointer, shape: [Int], strides: [Int], size: Int) throws -> Data {
    let count = shape.reduce(1, *)
    let last = zip(shape, strides).reduce(0) { sum, axis in sum + (axis.0 - 1) * axis.1 }
    guard shape.count == strides.count, count == 0 || (last + 1) * size <= raw.count else {
        throw EdgeError("shape \(shape) with strides \(strides) does not fit \(raw.count) bytes")
    }
    if strides == rowMajorStrides(shape) { return Data(raw.prefix(count * size)) }
    // Whole rows at once where the last axis is not padded.
    let row = strides.last == 1 ? shape.count - 1 : shape.count
    let length = shape[row...].reduce(size, *)
    var bytes = Data(capacity: count * size)
    var position = [Int](repeating: 0, count: row)
    for _ in 0..<shape[..<row].reduce(1, *) {
        let offset = zip(position, strides).reduce(0) { sum, axis in sum + axis.0 * axis.1 } * size
        bytes.append(contentsOf: raw[offset..<(offset + length)])
        for axis in stride(from: row - 1, through: 0, by: -1) {
            position[axis] += 1
            if position[axis] < shape[axis] { break }
            position[axis] = 0
        }
    }
    return bytes
}

/// Strides of an array without padding, its last axis the fastest.
public func rowMajorStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
}
