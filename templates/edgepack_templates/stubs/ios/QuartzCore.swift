// What generated apps use of Core Animation: declarations with the SDK's signatures, nothing that runs.
@_exported import CoreGraphics
import Foundation

open class CALayer: NSObject {
    public override init() { fatalError() }

    open var frame: CGRect {
        get { fatalError() }
        set { fatalError() }
    }

    open var bounds: CGRect {
        get { fatalError() }
        set { fatalError() }
    }

    open func addSublayer(_ layer: CALayer) { fatalError() }
}
