import EdgeCore
import ExecuTorch
import Foundation

/// Check the model's digest and load it from the app, where the runtime can map it.
func openModel(_ manifest: Manifest, in folder: URL) async throws -> any Model {
    try manifest.verify(folder: folder)
    let module = Module(filePath: folder.appendingPathComponent(manifest.artifact.file).path)
    try module.load("forward")
    return ExecuTorchModel(module: module, signature: manifest.artifact.signature)
}

private final class ExecuTorchModel: Model {
    private let module: Module
    private let signature: Manifest.Signature

    init(module: Module, signature: Manifest.Signature) {
        self.module = module
        self.signature = signature
    }

    func run(_ inputs: [TensorData]) throws -> Outcome {
        let tensors = try inputs.map { data in
            AnyTensor(data: data.bytes, shape: data.shape, dataType: try dataType(data.dtype))
        }
        let start = DispatchTime.now()
        let results: [Value] = try module.forward(tensors)
        let time = seconds(since: start)
        guard results.count == signature.outputs.count else {
            throw EdgeError("the model gave \(results.count) outputs, not \(signature.outputs.count)")
        }
        let outputs = try zip(results, signature.outputs).map { try numbers($0.0, $0.1) }
        return Outcome(outputs: outputs, seconds: time)
    }

    private func numbers(_ value: Value, _ info: TensorInfo) throws -> [Double] {
        guard let tensor = value.anyTensor else {
            throw EdgeError("the output \(info.name) is no tensor")
        }
        let dtype = try dtype(tensor.dataType)
        var bytes = Data()
        tensor.bytes { pointer, count, _ in
            bytes = Data(bytes: pointer, count: count * dtype.size)
        }
        let stored = try TensorData(dtype: dtype, shape: tensor.shape, bytes: bytes).numbers()
        return info.quantization?.real(stored) ?? stored
    }

    private func dataType(_ dtype: DType) throws -> DataType {
        switch dtype {
        case .float32: return .float
        case .float16: return .half
        case .float64: return .double
        case .int64: return .long
        case .int32: return .int
        case .int16: return .short
        case .int8: return .char
        case .uint8: return .byte
        case .bool: return .bool
        }
    }

    private func dtype(_ dataType: DataType) throws -> DType {
        switch dataType {
        case .float: return .float32
        case .half: return .float16
        case .double: return .float64
        case .long: return .int64
        case .int: return .int32
        case .short: return .int16
        case .char: return .int8
        case .byte: return .uint8
        case .bool: return .bool
        default: throw EdgeError("the model gave numbers of an unknown type \(dataType.rawValue)")
        }
    }
}
