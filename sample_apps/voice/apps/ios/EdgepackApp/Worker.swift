import EdgeCore
import Foundation

/// One thing that is not for two threads at once, opened when it is first needed.
actor Worker<Engine: Sendable> {
    private let open: @Sendable () async throws -> Engine
    private var opened: Engine?

    init(_ open: @escaping @Sendable () async throws -> Engine) {
        self.open = open
    }

    /// Have it ready before it is needed.
    func prepare() async throws {
        if opened == nil { opened = try await open() }
    }

    func run<Answer: Sendable>(_ work: @Sendable (Engine) throws -> Answer) async throws -> Answer {
        try await prepare()
        guard let opened else { throw EdgeError("there is nothing to work with") }
        return try work(opened)
    }
}

/// A model of the app by its name, with its digest checked.
func openCallee(_ name: String) async throws -> Callee {
    let folder = try payload()
    let info = try Manifest(folder: folder).model(name)
    return Callee(info, try await openModel(info, in: folder))
}

/// A file beside edgepack.json.
func readFile(_ name: String) throws -> Data {
    try Data(contentsOf: payload().appendingPathComponent(name))
}

/// Milliseconds as a person reads them.
func whole(_ millis: Double) -> String { shown(millis.rounded()) }
