// What generated apps use of Core Graphics: declarations with the SDK's signatures, nothing that runs. Points,
// sizes and rectangles are Foundation's own.
@_exported import CoreFoundationTypes
import Foundation

public final class CGColorSpace {
    public static let sRGB: CFString = ""

    public init?(name: CFString) { fatalError() }
}

public func CGColorSpaceCreateDeviceRGB() -> CGColorSpace { fatalError() }

public enum CGImageAlphaInfo: UInt32, Sendable {
    case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst, alphaOnly
}

public enum CGInterpolationQuality: Int32, Sendable {
    case `default`, none, low, medium, high
}

public struct CGBitmapInfo: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { fatalError() }

    public static var byteOrder32Big: CGBitmapInfo { fatalError() }
    public static var byteOrder32Little: CGBitmapInfo { fatalError() }
}

public final class CGImage {
    public var width: Int { fatalError() }
    public var height: Int { fatalError() }
    public var bitsPerComponent: Int { fatalError() }
    public var bytesPerRow: Int { fatalError() }

    public func cropping(to rect: CGRect) -> CGImage? { fatalError() }
}

extension CGImage: @unchecked Sendable {}

public final class CGContext {
    public init?(
        data: UnsafeMutableRawPointer?,
        width: Int,
        height: Int,
        bitsPerComponent: Int,
        bytesPerRow: Int,
        space: CGColorSpace,
        bitmapInfo: UInt32
    ) { fatalError() }

    public var data: UnsafeMutableRawPointer? { fatalError() }
    public var bytesPerRow: Int { fatalError() }

    public var interpolationQuality: CGInterpolationQuality {
        get { fatalError() }
        set { fatalError() }
    }

    public func draw(_ image: CGImage, in rect: CGRect) { fatalError() }

    public func fill(_ rect: CGRect) { fatalError() }

    public func setFillColor(red: CGFloat, green: CGFloat, blue: CGFloat, alpha: CGFloat) { fatalError() }

    public func translateBy(x tx: CGFloat, y ty: CGFloat) { fatalError() }

    public func scaleBy(x sx: CGFloat, y sy: CGFloat) { fatalError() }

    public func rotate(by angle: CGFloat) { fatalError() }

    public func makeImage() -> CGImage? { fatalError() }
}
