// Not a framework: Core Foundation's names, as the frameworks that use them bring them along. They are their
// Swift counterparts here, since bridging by `as` exists on Apple's systems alone; a cast that is needed there
// is allowed here.
import Foundation

public typealias CFString = String
public typealias CFDictionary = [AnyHashable: Any]
public typealias CFData = Data
public typealias CFURL = URL
public typealias OSType = UInt32
