// What generated apps use of CryptoKit: declarations with the SDK's signatures, nothing that runs.
@_exported import AppleFoundation
import Foundation

public protocol Digest: Sequence, Sendable where Element == UInt8 {}

public struct SHA256: Sendable {
    public init() { fatalError() }

    public mutating func update<D: DataProtocol>(data: D) { fatalError() }

    public func finalize() -> SHA256Digest { fatalError() }
}

public struct SHA256Digest: Digest {
    public func makeIterator() -> Array<UInt8>.Iterator { fatalError() }
}
