// What generated apps use of Core ML: declarations with the SDK's signatures, nothing that runs. Classes are
// not Sendable here, although some are in newer SDKs: code that passes without passes with it. Off Apple's
// systems a compiler does not judge availability: what is newer than the apps' oldest iOS is not declared.
@_exported import AppleFoundation
import Foundation

public enum MLComputeUnits: Int, @unchecked Sendable {
    case cpuOnly = 0
    case cpuAndGPU = 1
    case all = 2
    case cpuAndNeuralEngine = 3
}

open class MLModelConfiguration: NSObject {
    open var computeUnits: MLComputeUnits {
        get { fatalError() }
        set { fatalError() }
    }
}

open class MLPredictionOptions: NSObject {}

@available(*, unavailable)
extension MLPredictionOptions: @unchecked Sendable {}

open class MLModel: NSObject {
    @available(iOS 15.0, *)
    open class func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
    ) async throws -> MLModel { fatalError() }

    @available(iOS 16.0, *)
    open class func compileModel(at modelURL: URL) async throws -> URL { fatalError() }

    open func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider { fatalError() }

    @available(iOS 17.0, *)
    open func prediction(
        from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider { fatalError() }
}

public protocol MLFeatureProvider {
    var featureNames: Set<String> { get }

    func featureValue(for featureName: String) -> MLFeatureValue?
}

open class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public init(dictionary: [String: Any]) throws { fatalError() }

    open var featureNames: Set<String> { fatalError() }

    open func featureValue(for featureName: String) -> MLFeatureValue? { fatalError() }
}

open class MLFeatureValue: NSObject {
    public convenience init(multiArray value: MLMultiArray) { fatalError() }

    open var multiArrayValue: MLMultiArray? { fatalError() }
}

public enum MLMultiArrayDataType: Int, @unchecked Sendable {
    case double = 65600
    case float32 = 65568
    case float16 = 65552
    case int32 = 131104

    public static var float64: MLMultiArrayDataType { .double }
    public static var float: MLMultiArrayDataType { .float32 }
}

open class MLMultiArray: NSObject {
    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws { fatalError() }

    open var dataType: MLMultiArrayDataType { fatalError() }
    open var shape: [NSNumber] { fatalError() }
    open var strides: [NSNumber] { fatalError() }
    open var count: Int { fatalError() }
}

extension MLMultiArray {
    @available(iOS 15.4, *)
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        fatalError()
    }

    @available(iOS 15.4, *)
    public func withUnsafeMutableBytes<R>(
        _ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R
    ) rethrows -> R { fatalError() }
}
