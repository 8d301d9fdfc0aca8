// What generated apps use of Core Transferable: declarations with the SDK's signatures, nothing that runs.
import Foundation

public protocol Transferable {}

extension Data: Transferable {}
