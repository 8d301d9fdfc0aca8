// Not a framework: what Foundation holds on Apple's systems alone, as the frameworks bring it along; the
// Foundation of this system has none of it.
import Foundation

public func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result { fatalError() }

public struct NSKeyValueObservingOptions: OptionSet, Sendable {
    public let rawValue: UInt

    public init(rawValue: UInt) { fatalError() }

    public static var new: NSKeyValueObservingOptions { fatalError() }
    public static var old: NSKeyValueObservingOptions { fatalError() }
    public static var initial: NSKeyValueObservingOptions { fatalError() }
}

public class NSKeyValueObservation: NSObject {
    public func invalidate() { fatalError() }
}

@available(*, unavailable)
extension NSKeyValueObservation: @unchecked Sendable {}

public struct NSKeyValueObservedChange<Value> {
    public let newValue: Value?
    public let oldValue: Value?
}

public protocol _KeyValueCodingAndObserving {}

extension NSObject: _KeyValueCodingAndObserving {}

extension _KeyValueCodingAndObserving {
    @preconcurrency
    public func observe<Value>(
        _ keyPath: KeyPath<Self, Value>,
        options: NSKeyValueObservingOptions = [],
        changeHandler: @escaping @Sendable (Self, NSKeyValueObservedChange<Value>) -> Void
    ) -> NSKeyValueObservation { fatalError() }
}
