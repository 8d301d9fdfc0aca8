import Foundation

/// A float32 tensor.
public func tensorOf(_ values: [Float], _ shape: [Int]) throws -> TensorData {
    // Every system that Swift has for phones keeps its numbers as a tensor does, little-endian.
    try TensorData(dtype: .float32, shape: shape, bytes: values.withUnsafeBytes { Data($0) })
}

/// A tensor of whole numbers, such as tokens and their places, in whatever dtype the model takes.
public func tensorOf(_ numbers: [Int], _ dtype: DType, _ shape: [Int]) throws -> TensorData {
    try TensorData(dtype: dtype, shape: shape, bytes: stored(numbers.map { Double($0) }, dtype))
}

/// A tensor of zeros, such as a cache before the first step.
public func zeros(_ dtype: DType, _ shape: [Int]) throws -> TensorData {
    try TensorData(dtype: dtype, shape: shape, bytes: Data(count: shape.reduce(dtype.size, *)))
}

/// The numbers of a tensor as 32-bit floats, whatever their dtype.
public func floatsOf(_ tensor: TensorData) -> [Float] {
    if tensor.dtype != .float32 { return tensor.numbers().map { Float($0) } }
    return [Float](unsafeUninitializedCapacity: tensor.count) { out, count in
        count = tensor.bytes.copyBytes(to: out) / MemoryLayout<Float>.size
    }
}
