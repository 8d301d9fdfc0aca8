import AVFoundation
import CoreVideo
import EdgeCore
import SwiftUI
import UIKit

/// The back camera's pictures, until it is stopped. What changes is touched on `queue` alone, where the frames
/// come too.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    let session = AVCaptureSession()
    let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back)
    private let queue = DispatchQueue(label: "camera")
    private var rotation: AVCaptureDevice.RotationCoordinator?
    private var waiting: CheckedContinuation<Pixels?, Never>?
    private var isStopped = false

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
        queue.async {
            self.isStopped = true
            self.waiting?.resume(returning: nil)
            self.waiting = nil
            self.session.stopRunning()
        }
    }

    /// The next picture, the right way up; nil once the camera was stopped. For one caller at a time.
    func frame() async -> Pixels? {
        await withCheckedContinuation { asked in
            queue.async {
                if self.isStopped { asked.resume(returning: nil) } else { self.waiting = asked }
            }
        }
    }

    private func configure() throws {
        // It may have been stopped while people were asked.
        if isStopped { return }
        guard let device else { throw EdgeError("The camera cannot be had.") }
        let input = try AVCaptureDeviceInput(device: device)
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        session.beginConfiguration()
        session.sessionPreset = .vga640x480
        if session.canAddInput(input) { session.addInput(input) }
        if session.canAddOutput(output) { session.addOutput(output) }
        rotation = AVCaptureDevice.RotationCoordinator(device: device, previewLayer: nil)
        if let connection = output.connection(with: .video) { level(connection) }
        session.commitConfiguration()
        session.startRunning()
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        level(connection)
        // Thirty frames come in a second; only one that is waited for is worth converting.
        guard let asked = waiting, let buffer = CMSampleBufferGetImageBuffer(sampleBuffer),
            let pixels = try? pixels(ofFrame: buffer)
        else { return }
        waiting = nil
        asked.resume(returning: pixels)
    }

    /// Have the next frames turned as the device is held now.
    private func level(_ connection: AVCaptureConnection) {
        guard let angle = rotation?.videoRotationAngleForHorizonLevelCapture, angle != connection.videoRotationAngle,
            connection.isVideoRotationAngleSupported(angle)
        else { return }
        connection.videoRotationAngle = angle
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

/// What a camera that was started sees, on the screen.
struct CameraPreview: UIViewRepresentable {
    let camera: Camera

    func makeUIView(context: Context) -> PreviewView {
        let view = PreviewView(frame: .zero)
        view.show(camera)
        return view
    }

    func updateUIView(_ uiView: PreviewView, context: Context) {}
}

final class PreviewView: UIView {
    override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }

    private var rotation: AVCaptureDevice.RotationCoordinator?
    private var observation: NSKeyValueObservation?

    private var preview: AVCaptureVideoPreviewLayer? { layer as? AVCaptureVideoPreviewLayer }

    func show(_ camera: Camera) {
        preview?.session = camera.session
        preview?.videoGravity = .resizeAspectFill
        guard let device = camera.device else { return }
        let rotation = AVCaptureDevice.RotationCoordinator(device: device, previewLayer: preview)
        self.rotation = rotation
        let angle = \AVCaptureDevice.RotationCoordinator.videoRotationAngleForHorizonLevelPreview
        observation = rotation.observe(angle, options: .initial) { [weak self] _, _ in
            Task { @MainActor [weak self] in self?.level() }
        }
    }

    /// Turn the picture as the screen is turned now.
    private func level() {
        guard let angle = rotation?.videoRotationAngleForHorizonLevelPreview, let connection = preview?.connection,
            connection.isVideoRotationAngleSupported(angle)
        else { return }
        connection.videoRotationAngle = angle
    }
}
