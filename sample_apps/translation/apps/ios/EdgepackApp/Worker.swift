import EdgeCore
import Foundation

/// One thing that is not for two threads at once, opened when it is first needed.
actor Worker<Engine: Sendable> {
    private let open: @Sendable () async throws -> Engine
    private var opening: Task<Engine, any Error>?

    init(_ open: @escaping @Sendable () async throws -> Engine) {
        self.open = open
    }

    /// Have it ready before it is needed.
    func prepare() async throws { _ = try await opened() }

    func run<Answer: Sendable>(_ work: @Sendable (Engine) throws -> Answer) async throws -> Answer {
        try work(try await opened())
    }

    /// An actor takes the next call while one waits: all of them wait for the same opening. After one that
    /// failed there is another try.
    private func opened() async throws -> Engine {
        if let opening { return try await opening.value }
        let started = Task { try await open() }
        opening = started
        do {
            return try await started.value
        } catch {
            opening = nil
            throw error
        }
    }
}

/// A model of the app by its name, with its digest checked.
func openCallee(_ name: String) async throws -> Callee {
    let folder = try payload()
    let manifest = try Manifest(folder: folder)
    try removeOldModels(manifest.models)
    let info = try manifest.model(name)
    return Callee(info, try await openModel(info, in: folder))
}

/// A file that the task names, with its digest checked.
func readFile(_ name: String) throws -> Data { try readTaskFile(name, folder: payload()) }

/// Milliseconds as a person reads them.
func whole(_ millis: Double) -> String { shown(millis.rounded()) }
