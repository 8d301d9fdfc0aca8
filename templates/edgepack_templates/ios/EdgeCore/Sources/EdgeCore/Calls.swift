import Foundation

/// A loaded model whose tensors go by their names.
public final class Callee {
    public let info: ModelInfo
    private let model: any Model

    public init(_ info: ModelInfo, _ model: any Model) {
        self.info = info
        self.model = model
    }

    public func input(_ name: String) throws -> TensorInfo { try named(info.inputs, name) }

    public func output(_ name: String) throws -> TensorInfo { try named(info.outputs, name) }

    /// One call; what is given must be every input, in the sizes that the model takes.
    public func call(_ given: [String: TensorData]) throws -> [String: TensorData] {
        let outcome = try model.run(try info.inputs.map { try tensor($0.name, of: given) })
        return Dictionary(uniqueKeysWithValues: zip(info.outputs.map(\.name), outcome.outputs))
    }

    /// The first state of a model that carries some, by the names of its inputs.
    public func zeros(_ carried: [Carried]) throws -> [String: TensorData] {
        var state: [String: TensorData] = [:]
        for one in carried {
            let info = try input(one.input)
            state[one.input] = try TensorData.zeros(dtype: info.dtype, shape: info.sizes)
        }
        return state
    }

    private func named(_ tensors: [TensorInfo], _ name: String) throws -> TensorInfo {
        guard let found = tensors.first(where: { $0.name == name }) else {
            throw EdgeError("\(info.name) has no tensor \(name)")
        }
        return found
    }
}

/// What opens a model of the app by its name.
public typealias Opener = (String) async throws -> Callee

/// Names of a decoder's tensors. position: "" if it has none; given: those that the encoder made.
public struct DecoderNames: Codable, Sendable {
    public let model: String
    public let token: String
    public let position: String
    public let logits: String
    public let carried: [Carried]
    public let given: [String]
}

/// A decoder as one step after the other. Its state is what it carries; nothing of it is copied.
public struct DecoderStep {
    private let decoder: Callee
    private let names: DecoderNames
    private let given: [String: TensorData]

    /// The state before the first token.
    public let start: [String: TensorData]

    public init(_ decoder: Callee, _ names: DecoderNames, _ encoded: [String: TensorData]) throws {
        self.decoder = decoder
        self.names = names
        given = Dictionary(uniqueKeysWithValues: try names.given.map { ($0, try tensor($0, of: encoded)) })
        start = try decoder.zeros(names.carried)
    }

    public func run(_ state: [String: TensorData], _ token: Int, _ place: Int) throws -> Stepped<[String: TensorData]> {
        var inputs = given.merging(state) { _, carried in carried }
        inputs[names.token] = try number(names.token, token)
        if !names.position.isEmpty { inputs[names.position] = try number(names.position, place) }
        let outputs = try decoder.call(inputs)
        let logits = try decoder.output(names.logits).real(tensor(names.logits, of: outputs))
        var next: [String: TensorData] = [:]
        for one in names.carried { next[one.input] = try tensor(one.output, of: outputs) }
        return Stepped(logits: logits.map { Float($0) }, state: next)
    }

    private func number(_ name: String, _ value: Int) throws -> TensorData {
        let info = try decoder.input(name)
        return try TensorData(dtype: info.dtype, shape: info.sizes, values: [Double(value)])
    }
}

/// What `work` gives, and the milliseconds that it takes.
func timed<Made>(_ work: () throws -> Made) rethrows -> (made: Made, millis: Double) {
    let start = DispatchTime.now()
    let made = try work()
    return (made, Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e6)
}

/// The tensor of that name.
func tensor(_ name: String, of tensors: [String: TensorData]) throws -> TensorData {
    guard let found = tensors[name] else { throw EdgeError("there is no tensor \(name)") }
    return found
}
