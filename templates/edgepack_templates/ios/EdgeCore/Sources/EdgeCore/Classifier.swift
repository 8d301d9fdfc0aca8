import Foundation

/// The task of image classification, as edgepack.json describes it.
public struct ClassificationTask: Codable, Sendable {
    public let model: String
    public let input: String
    public let image: ImageInput
    public let output: String
    public let classes: Classes
}

/// The likeliest classes of a picture, and the milliseconds of each step.
public struct Classified: Sendable {
    public let classes: [Named]
    public let prepareMillis: Double
    public let modelMillis: Double
}

/// Image classification. Not for two threads at once: whoever owns it sees to that.
public final class Classifier: @unchecked Sendable {
    private let task: ClassificationTask
    private let labels: [String]
    private let model: Callee

    /// read: gives a file beside the manifest by its name.
    public init(_ task: ClassificationTask, read: (String) throws -> Data, open: Opener) async throws {
        self.task = task
        labels = try readLabels(try read(task.classes.labels))
        model = try await open(task.model)
    }

    public func classify(_ pixels: Pixels) throws -> Classified {
        let sizes = try model.input(task.input).sizes
        let prepared = try timed { try prepare(pixels, task.image).shaped(sizes) }
        let called = try timed { try model.call([task.input: prepared.made]) }
        let scores = try model.output(task.output).real(tensor(task.output, of: called.made))
        return Classified(
            classes: try EdgeCore.classify(scores, labels, task.classes),
            prepareMillis: prepared.millis,
            modelMillis: called.millis
        )
    }
}
