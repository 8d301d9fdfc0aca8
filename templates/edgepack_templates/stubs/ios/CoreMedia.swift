// What generated apps use of Core Media: declarations with the SDK's signatures, nothing that runs. A sample
// buffer is not Sendable here, although it is in newer SDKs: code that passes without passes with it.
@_exported import CoreVideo
import Foundation

public final class CMSampleBuffer {
    public var imageBuffer: CVImageBuffer? { fatalError() }
}

@available(*, unavailable)
extension CMSampleBuffer: @unchecked Sendable {}

public func CMSampleBufferGetImageBuffer(_ sbuf: CMSampleBuffer) -> CVImageBuffer? { fatalError() }
