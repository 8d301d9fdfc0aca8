import CoreGraphics
import EdgeCore
import Foundation
import ImageIO

private let longestSide = 4096

/// The colours of a photo in sRGB, the right way up, its longer side 4096 pixels at most. It lies on white paper,
/// which shows where it is transparent.
func pixels(ofPhoto data: Data) throws -> Pixels {
    let options = [
        kCGImageSourceCreateThumbnailFromImageAlways: true,
        kCGImageSourceCreateThumbnailWithTransform: true,
        kCGImageSourceThumbnailMaxPixelSize: longestSide,
    ] as CFDictionary
    guard
        let source = CGImageSourceCreateWithData(data as CFData, nil),
        let image = CGImageSourceCreateThumbnailAtIndex(source, 0, options),
        let space = CGColorSpace(name: CGColorSpace.sRGB)
    else { throw EdgeError("the photo cannot be read") }
    var rgba = [UInt8](repeating: 255, count: image.width * image.height * 4)
    let drawn = rgba.withUnsafeMutableBytes { buffer -> Bool in
        let context = CGContext(
            data: buffer.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
            bytesPerRow: image.width * 4, space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue
        )
        context?.draw(image, in: CGRect(x: 0, y: 0, width: image.width, height: image.height))
        return context != nil
    }
    guard drawn else { throw EdgeError("the photo cannot be drawn") }
    return try rgba.withUnsafeBytes { buffer in
        try Pixels.ofColors(width: image.width, height: image.height, rowBytes: image.width * 4, buffer)
    }
}
