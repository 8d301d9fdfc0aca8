// What generated apps use of ExecuTorch's Swift package, as it is since 0.7: declarations, nothing that runs.
@_exported import AppleFoundation
import Foundation

public enum DataType: Int8, @unchecked Sendable {
    case byte, char, short, int, long, half, float, double
    case complexHalf, complexFloat, complexDouble
    case bool
}

public enum ShapeDynamism: UInt8, @unchecked Sendable {
    case `static`, dynamicBound, dynamicUnbound
}

public enum ModuleLoadMode: Int, @unchecked Sendable {
    case file, mmap, mmapUseMlock, mmapUseMlockIgnoreErrors
}

public protocol ValueConvertible {
    func asValue() -> Value
}

public final class AnyTensor: NSObject, ValueConvertible {
    public var dataType: DataType { fatalError() }
    public var shape: [Int] { fatalError() }
    public var strides: [Int] { fatalError() }
    public var count: Int { fatalError() }

    public convenience init(
        data: Data,
        shape: [Int],
        strides: [Int] = [],
        dimensionOrder: [Int] = [],
        dataType: DataType,
        shapeDynamism: ShapeDynamism = .dynamicBound
    ) { fatalError() }

    public func bytes(_ handler: (UnsafeRawPointer, Int, DataType) -> Void) { fatalError() }

    public func asValue() -> Value { fatalError() }
}

public final class Value: NSObject, ValueConvertible {
    public var isTensor: Bool { fatalError() }
    public var anyTensor: AnyTensor? { fatalError() }

    public func asValue() -> Value { fatalError() }
}

public final class Module: NSObject {
    public init(filePath: String, loadMode: ModuleLoadMode) { fatalError() }

    public convenience init(filePath: String) { fatalError() }

    public func load(_ method: String) throws { fatalError() }

    public func methodNames() throws -> Set<String> { fatalError() }

    public func execute(_ method: String, _ inputs: [any ValueConvertible]) throws -> [Value] { fatalError() }

    public func execute(_ method: String, _ inputs: any ValueConvertible...) throws -> [Value] {
        fatalError()
    }

    public func forward(_ inputs: [any ValueConvertible]) throws -> [Value] { fatalError() }

    public func forward(_ inputs: any ValueConvertible...) throws -> [Value] { fatalError() }
}
