// What generated apps use of UIKit: declarations with the SDK's signatures and isolation, nothing that runs.
@_exported import AppleFoundation
@_exported import CoreGraphics
@_exported import Foundation
@_exported import QuartzCore

open class UIImage: NSObject, @unchecked Sendable {
    public enum Orientation: Int, Sendable {
        case up, down, left, right, upMirrored, downMirrored, leftMirrored, rightMirrored
    }

    public init?(data: Data) { fatalError() }

    public init(cgImage: CGImage) { fatalError() }

    public init(cgImage: CGImage, scale: CGFloat, orientation: UIImage.Orientation) { fatalError() }

    open var cgImage: CGImage? { fatalError() }
    open var imageOrientation: UIImage.Orientation { fatalError() }
    open var size: CGSize { fatalError() }
    open var scale: CGFloat { fatalError() }
}

@MainActor
open class UIResponder: NSObject {}

@MainActor
open class UIView: UIResponder {
    public init(frame: CGRect) { fatalError() }

    public convenience override init() { fatalError() }

    open class var layerClass: AnyClass { fatalError() }
    open var layer: CALayer { fatalError() }

    open var bounds: CGRect {
        get { fatalError() }
        set { fatalError() }
    }

    open func addSubview(_ view: UIView) { fatalError() }

    open func layoutSubviews() { fatalError() }
}

@MainActor
open class UIApplication: UIResponder {
    open class var shared: UIApplication { fatalError() }

    public static let openSettingsURLString: String = ""

    open var isIdleTimerDisabled: Bool {
        get { fatalError() }
        set { fatalError() }
    }
}

@MainActor
open class UIPasteboard: NSObject {
    open class var general: UIPasteboard { fatalError() }

    open var string: String? {
        get { fatalError() }
        set { fatalError() }
    }
}
