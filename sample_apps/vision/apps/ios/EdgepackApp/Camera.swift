import AVFoundation
import CoreVideo
import EdgeCore
import SwiftUI
import UIKit

/// The back camera's pictures, for as long as it runs. The session is changed on `queue` alone.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "camera")
    private let lock = NSLock()
    private var latest: Pixels?

    /// Ask for the permission, unless that was done, and start.
    func start() async throws {
        guard await AVCaptureDevice.requestAccess(for: .video) else {
            throw EdgeError("Without the permission the camera cannot be used.")
        }
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            queue.async { done.resume(with: Result { try self.configure() }) }
        }
    }

    func stop() {
        queue.async { self.session.stopRunning() }
    }

    /// The latest picture, the right way up, unless it was had before.
    func frame() -> Pixels? {
        lock.lock()
        defer { lock.unlock() }
        let found = latest
        latest = nil
        return found
    }

    private func configure() throws {
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else {
            throw EdgeError("The camera cannot be had.")
        }
        let input = try AVCaptureDeviceInput(device: device)
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        session.beginConfiguration()
        session.sessionPreset = .vga640x480
        if session.canAddInput(input) { session.addInput(input) }
        if session.canAddOutput(output) { session.addOutput(output) }
        if let connection = output.connection(with: .video), connection.isVideoRotationAngleSupported(90) {
            connection.videoRotationAngle = 90
        }
        session.commitConfiguration()
        session.startRunning()
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let buffer = CMSampleBufferGetImageBuffer(sampleBuffer), let pixels = try? pixels(ofFrame: buffer) else {
            return
        }
        lock.lock()
        latest = pixels
        lock.unlock()
    }
}

/// The colours of a frame of 32-bit BGRA, whose rows may be padded.
private func pixels(ofFrame buffer: CVPixelBuffer) throws -> Pixels {
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
    guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw EdgeError("the frame holds nothing") }
    let width = CVPixelBufferGetWidth(buffer)
    let height = CVPixelBufferGetHeight(buffer)
    let row = CVPixelBufferGetBytesPerRow(buffer)
    let raw = UnsafeRawBufferPointer(start: base, count: height * row)
    var rgb = [UInt8](repeating: 0, count: width * height * 3)
    var place = 0
    for y in 0..<height {
        for x in 0..<width {
            let from = y * row + x * 4
            rgb[place] = raw[from + 2]
            rgb[place + 1] = raw[from + 1]
            rgb[place + 2] = raw[from]
            place += 3
        }
    }
    return try Pixels(width: width, height: height, channels: 3, bytes: rgb)
}

/// What the camera sees, on the screen.
struct CameraPreview: UIViewRepresentable {
    let session: AVCaptureSession

    func makeUIView(context: Context) -> PreviewView {
        let view = PreviewView(frame: .zero)
        view.preview?.session = session
        view.preview?.videoGravity = .resizeAspectFill
        return view
    }

    func updateUIView(_ uiView: PreviewView, context: Context) {}
}

final class PreviewView: UIView {
    override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }

    var preview: AVCaptureVideoPreviewLayer? { layer as? AVCaptureVideoPreviewLayer }
}
