import EdgeCore
import ExecuTorch
import Foundation

/// Check the model's digest and load it from the app, where the runtime maps it: it is not read as a whole.
func openModel(_ info: ModelInfo, in folder: URL) async throws -> any Model {
    try info.verify(folder: folder)
    let module = Module(filePath: folder.appendingPathComponent(info.artifact.file).path, loadMode: .mmap)
    try module.load("forward")
    return ExecuTorchModel(module: module, info: info)
}

/// ExecuTorch reads its models from the app itself: none of an older version can be left.
func removeOldModels(_ infos: [ModelInfo]) throws {}

private final class ExecuTorchModel: Model {
    private let module: Module
    private let info: ModelInfo

    // What was fed last, and the tensor made of it: a decoder gets the same encoder's output with every token.
    private var held: [(data: TensorData, tensor: AnyTensor)?]

    init(module: Module, info: ModelInfo) {
        self.module = module
        self.info = info
        held = Array(repeating: nil, count: info.inputs.count)
    }

    func run(_ inputs: [TensorData]) throws -> Outcome {
        // What the runtime gives lives until a pool ends: without one, until the last token of a recording.
        try autoreleasepool { try predict(inputs) }
    }

    private func predict(_ inputs: [TensorData]) throws -> Outcome {
        let tensors = try inputs.enumerated().map { index, data in
            if let held = held[index], held.data === data { return held.tensor }
            let tensor = AnyTensor(data: data.bytes, shape: data.shape, dataType: try dataType(data.dtype))
            held[index] = (data, tensor)
            return tensor
        }
        let start = DispatchTime.now()
        let results: [Value] = try module.forward(tensors)
        let time = seconds(since: start)
        guard results.count == info.outputs.count else {
            throw EdgeError("the model gave \(results.count) outputs, not \(info.outputs.count)")
        }
        return Outcome(outputs: try zip(results, info.outputs).map { try tensor($0.0, $0.1) }, seconds: time)
    }

    private func tensor(_ value: Value, _ output: TensorInfo) throws -> TensorData {
        guard let tensor = value.anyTensor else {
            throw EdgeError("the output \(output.name) is no tensor")
        }
        let dtype = try dtype(tensor.dataType)
        var bytes = Data()
        tensor.bytes { pointer, count, _ in
            bytes = Data(bytes: pointer, count: count * dtype.size)
        }
        return try TensorData(dtype: dtype, shape: tensor.shape, bytes: bytes)
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
