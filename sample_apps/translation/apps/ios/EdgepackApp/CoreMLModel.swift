@preconcurrency import CoreML
import EdgeCore
import Foundation

/// Check the digests of the model's files, compile it on this device unless that is done, and load it.
func openModel(_ info: ModelInfo, in folder: URL) async throws -> any Model {
    try info.verify(folder: folder)
    let compiled = try await compiledModel(info, in: folder)
    do {
        return try await loaded(compiled, info)
    } catch {
        // What is kept may be broken, or of another iOS: it is compiled anew, once.
        try? FileManager.default.removeItem(at: compiled)
        return try await loaded(try await compiledModel(info, in: folder), info)
    }
}

private func loaded(_ compiled: URL, _ info: ModelInfo) async throws -> any Model {
    let configuration = MLModelConfiguration()
    #if targetEnvironment(simulator)
    // The simulator has no Neural Engine, and its GPU is not a phone's: models may fail or go wrong on it.
    configuration.computeUnits = .cpuOnly
    #else
    configuration.computeUnits = .all
    #endif
    let model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
    return CoreMLModel(model: model, info: info)
}

/// Remove the compiled models that an older version of the app left.
func removeOldModels(_ infos: [ModelInfo]) throws {
    let kept = Set(infos.map { "\($0.artifact.sha256).mlmodelc" })
    let home = try home()
    for name in (try? FileManager.default.contentsOfDirectory(atPath: home.path)) ?? [] where !kept.contains(name) {
        try? FileManager.default.removeItem(at: home.appendingPathComponent(name))
    }
}

/// Where compiled models are kept.
private func home() throws -> URL {
    try FileManager.default
        .url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        .appendingPathComponent("models")
}

/// The compiled model in the caches, named by the digest of what it was made from.
private func compiledModel(_ info: ModelInfo, in folder: URL) async throws -> URL {
    let files = FileManager.default
    let home = try home()
    let kept = home.appendingPathComponent("\(info.artifact.sha256).mlmodelc")
    if files.fileExists(atPath: kept.path) { return kept }
    let fresh = try await MLModel.compileModel(at: folder.appendingPathComponent(info.artifact.file))
    try files.createDirectory(at: home, withIntermediateDirectories: true)
    do {
        try files.moveItem(at: fresh, to: kept)
    } catch {
        // The check and a screen may open the same model at once: whichever was faster, its form is kept.
        guard files.fileExists(atPath: kept.path) else { throw error }
        try? files.removeItem(at: fresh)
    }
    return kept
}

private final class CoreMLModel: Model {
    private let model: MLModel
    private let info: ModelInfo

    // What was fed last, and the array made of it: a decoder gets the same encoder's output with every token.
    private var held: [(data: TensorData, array: MLMultiArray)?]

    init(model: MLModel, info: ModelInfo) {
        self.model = model
        self.info = info
        held = Array(repeating: nil, count: info.inputs.count)
    }

    func run(_ inputs: [TensorData]) throws -> Outcome {
        // What Core ML gives lives until a pool ends: without one, until the last token of a recording.
        try autoreleasepool { try predict(inputs) }
    }

    private func predict(_ inputs: [TensorData]) throws -> Outcome {
        var features: [String: Any] = [:]
        for (index, data) in inputs.enumerated() {
            if held[index]?.data !== data { held[index] = (data, try array(data)) }
            features[info.inputs[index].name] = held[index].map { MLFeatureValue(multiArray: $0.array) }
        }
        let provider = try MLDictionaryFeatureProvider(dictionary: features)
        let start = DispatchTime.now()
        let result = try model.prediction(from: provider)
        let time = seconds(since: start)
        return Outcome(outputs: try info.outputs.map { try tensor(result, $0) }, seconds: time)
    }

    private func array(_ data: TensorData) throws -> MLMultiArray {
        let shape = data.shape.isEmpty ? [1] : data.shape
        let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: dataType(data.dtype))
        array.withUnsafeMutableBytes { buffer, _ in
            _ = data.bytes.copyBytes(to: buffer)
        }
        return array
    }

    private func tensor(_ result: any MLFeatureProvider, _ output: TensorInfo) throws -> TensorData {
        guard let array = result.featureValue(for: output.name)?.multiArrayValue else {
            throw EdgeError("the model gave no array \(output.name)")
        }
        let shape = array.shape.map(\.intValue)
        let strides = array.strides.map(\.intValue)
        let dtype = try dtype(array.dataType)
        let bytes = try array.withUnsafeBytes { try packed($0, shape: shape, strides: strides, size: dtype.size) }
        return try TensorData(dtype: dtype, shape: shape, bytes: bytes)
    }

    private func dataType(_ dtype: DType) throws -> MLMultiArrayDataType {
        switch dtype {
        case .float32: return .float32
        case .float16: return .float16
        case .float64: return .double
        case .int32: return .int32
        default: throw EdgeError("Core ML takes no \(dtype.rawValue)")
        }
    }

    private func dtype(_ dataType: MLMultiArrayDataType) throws -> DType {
        switch dataType {
        case .float32: return .float32
        case .float16: return .float16
        case .double: return .float64
        case .int32: return .int32
        default: throw EdgeError("the model gave numbers of an unknown type \(dataType.rawValue)")
        }
    }
}
