@preconcurrency import CoreML
import EdgeCore
import Foundation

/// Check the digests of the model's files, compile it on this device unless that is done, and load it.
func openModel(_ manifest: Manifest, in folder: URL) async throws -> any Model {
    try manifest.verify(folder: folder)
    let compiled = try await compiledModel(manifest, in: folder)
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .all
    do {
        let model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
        return CoreMLModel(model: model, signature: manifest.artifact.signature)
    } catch {
        // Whatever was wrong with the compiled form, the next start makes a new one.
        try? FileManager.default.removeItem(at: compiled)
        throw error
    }
}

/// The compiled model in the caches, named by the digest of what it was made from.
private func compiledModel(_ manifest: Manifest, in folder: URL) async throws -> URL {
    let files = FileManager.default
    let caches = try files.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    let home = caches.appendingPathComponent("models")
    let kept = home.appendingPathComponent("\(manifest.artifact.sha256).mlmodelc")
    if files.fileExists(atPath: kept.path) { return kept }
    let fresh = try await MLModel.compileModel(at: folder.appendingPathComponent(manifest.artifact.file))
    try? files.removeItem(at: home)
    try files.createDirectory(at: home, withIntermediateDirectories: true)
    try files.moveItem(at: fresh, to: kept)
    return kept
}

private final class CoreMLModel: Model {
    private let model: MLModel
    private let signature: Manifest.Signature

    init(model: MLModel, signature: Manifest.Signature) {
        self.model = model
        self.signature = signature
    }

    func run(_ inputs: [TensorData]) throws -> Outcome {
        var features: [String: Any] = [:]
        for (info, data) in zip(signature.inputs, inputs) {
            features[info.name] = MLFeatureValue(multiArray: try array(data))
        }
        let provider = try MLDictionaryFeatureProvider(dictionary: features)
        let start = DispatchTime.now()
        let result = try model.prediction(from: provider)
        let time = seconds(since: start)
        return Outcome(outputs: try signature.outputs.map { try numbers(result, $0) }, seconds: time)
    }

    private func array(_ data: TensorData) throws -> MLMultiArray {
        let shape = data.shape.isEmpty ? [1] : data.shape
        let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: dataType(data.dtype))
        array.withUnsafeMutableBytes { buffer, _ in
            _ = data.bytes.copyBytes(to: buffer)
        }
        return array
    }

    private func numbers(_ result: any MLFeatureProvider, _ info: TensorInfo) throws -> [Double] {
        guard let array = result.featureValue(for: info.name)?.multiArrayValue else {
            throw EdgeError("the model gave no array \(info.name)")
        }
        let shape = array.shape.map(\.intValue)
        let strides = array.strides.map(\.intValue)
        let dtype = try dtype(array.dataType)
        let bytes = try array.withUnsafeBytes { try packed($0, shape: shape, strides: strides, size: dtype.size) }
        let stored = try TensorData(dtype: dtype, shape: shape, bytes: bytes).numbers()
        return info.quantization?.real(stored) ?? stored
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
