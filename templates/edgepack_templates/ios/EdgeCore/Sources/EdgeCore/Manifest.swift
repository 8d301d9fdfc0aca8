import Foundation

/// An affine quantization: real = (stored - zeroPoint) * scale.
public struct Quantization: Codable, Sendable {
    public let scale: Double
    public let zeroPoint: Double

    enum CodingKeys: String, CodingKey {
        case scale
        case zeroPoint = "zero_point"
    }

    public func real(_ stored: [Double]) -> [Double] {
        stored.map { ($0 - zeroPoint) * scale }
    }
}

/// An axis of a shape: its size, or its name where the size may vary.
public enum Axis: Codable, Sendable, CustomStringConvertible {
    case size(Int)
    case name(String)

    public init(from decoder: Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let size = try? container.decode(Int.self) {
            self = .size(size)
        } else {
            self = .name(try container.decode(String.self))
        }
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .size(let size): try container.encode(size)
        case .name(let name): try container.encode(name)
        }
    }

    public var description: String {
        switch self {
        case .size(let size): return String(size)
        case .name(let name): return name
        }
    }
}

/// One input or output of the model.
///
/// peak: largest absolute number that the source model gave for an output.
public struct TensorInfo: Codable, Sendable, CustomStringConvertible {
    public let name: String
    public let dtype: DType
    public let shape: [Axis]
    public let quantization: Quantization?
    public let peak: Double?

    /// Its size along each axis; 1 for one that has a name.
    public var sizes: [Int] {
        shape.map { axis in
            if case .size(let size) = axis { return size }
            return 1
        }
    }

    /// The numbers that a tensor of it stands for.
    public func real(_ data: TensorData) -> [Double] {
        let numbers = data.numbers()
        return quantization?.real(numbers) ?? numbers
    }

    public var description: String {
        "\(name) \(dtype.rawValue)[\(shape.map(\.description).joined(separator: ", "))]"
    }
}

/// What edgepack.json says of one model. golden: folder of its golden cases.
public struct ModelInfo: Codable, Sendable {
    public struct File: Codable, Sendable {
        public let path: String
        public let sha256: String

        /// Throws unless the file in the folder has its digest.
        func verify(folder: URL) throws {
            let found = try EdgeCore.sha256(of: folder.appendingPathComponent(path))
            guard found == sha256 else {
                throw EdgeError("the sha256 of \(path) is \(found), not \(sha256): rebuild the app")
            }
        }
    }

    public struct Signature: Codable, Sendable {
        public let inputs: [TensorInfo]
        public let outputs: [TensorInfo]
    }

    public struct Artifact: Codable, Sendable {
        public let file: String
        public let sha256: String
        public let files: [File]
        public let signature: Signature
    }

    public let name: String
    public let variant: String
    public let golden: String
    public let artifact: Artifact
    public let limits: [String: Double]

    public var inputs: [TensorInfo] { artifact.signature.inputs }

    public var outputs: [TensorInfo] { artifact.signature.outputs }

    /// Throws unless every file of the model in the folder has its digest, and no other file is there.
    public func verify(folder: URL) throws {
        for file in artifact.files { try file.verify(folder: folder) }
        let expected = Set(artifact.files.map(\.path))
        let model = folder.appendingPathComponent(artifact.file)
        for path in (FileManager.default.subpaths(atPath: model.path) ?? []) {
            var isFolder: ObjCBool = false
            let whole = model.appendingPathComponent(path).path
            guard FileManager.default.fileExists(atPath: whole, isDirectory: &isFolder) else { continue }
            if !isFolder.boolValue && !expected.contains("\(artifact.file)/\(path)") {
                throw EdgeError("\(artifact.file) holds \(path), which edgepack did not put there")
            }
        }
    }
}

/// What edgepack.json says of the models beside it.
public struct Manifest: Codable, Sendable {
    public struct Runtime: Codable, Sendable {
        public let name: String
        public let version: String
    }

    public let runtime: Runtime
    public let models: [ModelInfo]

    /// Read edgepack.json in a folder.
    public init(folder: URL) throws {
        self = try read(folder)
    }

    public func model(_ name: String) throws -> ModelInfo {
        guard let found = models.first(where: { $0.name == name }) else {
            throw EdgeError("the app has no model \(name)")
        }
        return found
    }
}

/// What the app does with its models, as edgepack.json in a folder says.
public func readTask<Task: Decodable>(_ type: Task.Type, folder: URL) throws -> Task {
    try (read(folder) as TaskFile<Task>).task
}

/// A file that the task in edgepack.json names. Throws unless it has its digest.
public func readTaskFile(_ name: String, folder: URL) throws -> Data {
    guard let file = try readTask(TaskFiles.self, folder: folder).files.first(where: { $0.path == name }) else {
        throw EdgeError("the task has no file \(name)")
    }
    try file.verify(folder: folder)
    return try Data(contentsOf: folder.appendingPathComponent(name))
}

private struct TaskFile<Task: Decodable>: Decodable {
    let task: Task
}

private struct TaskFiles: Decodable {
    let files: [ModelInfo.File]
}

private func read<Value: Decodable>(_ folder: URL) throws -> Value {
    let data = try Data(contentsOf: folder.appendingPathComponent("edgepack.json"))
    return try JSONDecoder().decode(Value.self, from: data)
}

/// One call of the model with the outputs that the source model gave.
public struct GoldenCase: Sendable {
    public let inputs: [TensorData]
    public let outputs: [TensorData]

    public init(inputs: [TensorData], outputs: [TensorData]) {
        self.inputs = inputs
        self.outputs = outputs
    }
}

private struct GoldenFile: Codable {
    struct Entry: Codable {
        let file: String
        let dtype: DType
        let shape: [Int]
    }

    struct Case: Codable {
        let inputs: [Entry]
        let outputs: [Entry]
    }

    let cases: [Case]
}

/// The golden cases that golden.json in a folder lists.
public func readGolden(folder: URL) throws -> [GoldenCase] {
    func read(_ entry: GoldenFile.Entry) throws -> TensorData {
        let bytes = try Data(contentsOf: folder.appendingPathComponent(entry.file))
        return try TensorData(dtype: entry.dtype, shape: entry.shape, bytes: bytes)
    }
    let data = try Data(contentsOf: folder.appendingPathComponent("golden.json"))
    return try JSONDecoder().decode(GoldenFile.self, from: data).cases.map { entry in
        GoldenCase(inputs: try entry.inputs.map(read), outputs: try entry.outputs.map(read))
    }
}
