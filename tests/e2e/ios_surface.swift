// What apps for pictures and sound do with Apple's frameworks, as far as these are declared in stubs/ios.
import AVFoundation
import ImageIO
import PhotosUI
import SwiftUI
import UIKit

// --- a photo as bytes -----------------------------------------------------------------------------

struct Photo: Sendable {
    let width: Int
    let height: Int
    let rgba: [UInt8]
}

func decode(_ data: Data, longest: Int) -> Photo? {
    let options = [
        kCGImageSourceCreateThumbnailFromImageAlways: true,
        kCGImageSourceCreateThumbnailWithTransform: true,
        kCGImageSourceThumbnailMaxPixelSize: longest,
    ] as CFDictionary
    guard
        let source = CGImageSourceCreateWithData(data as CFData, nil),
        let image = CGImageSourceCreateThumbnailAtIndex(source, 0, options),
        let space = CGColorSpace(name: CGColorSpace.sRGB)
    else { return nil }
    var rgba = [UInt8](repeating: 0, count: image.width * image.height * 4)
    let drawn = rgba.withUnsafeMutableBytes { buffer -> Bool in
        let context = CGContext(
            data: buffer.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
            bytesPerRow: image.width * 4, space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue
        )
        context?.draw(image, in: CGRect(x: 0, y: 0, width: image.width, height: image.height))
        return context != nil
    }
    return drawn ? Photo(width: image.width, height: image.height, rgba: rgba) : nil
}

struct PhotoScreen: View {
    @State private var item: PhotosPickerItem?
    @State private var image: UIImage?
    @State private var words = ""

    var body: some View {
        NavigationStack {
            VStack {
                PhotosPicker("Choose a photo", selection: $item, matching: .images)
                if let image {
                    Image(uiImage: image).resizable().scaledToFit()
                }
                TextField("Text", text: $words, axis: .vertical)
                ForEach([1, 2], id: \.self) { Text(verbatim: "\($0)") }
            }
            .navigationTitle("Photo")
            .onChange(of: item) { _, chosen in
                Task { await load(chosen) }
            }
        }
    }

    private func load(_ chosen: PhotosPickerItem?) async {
        guard let data = try? await chosen?.loadTransferable(type: Data.self) else { return }
        image = UIImage(data: data)
    }
}

// --- the camera -----------------------------------------------------------------------------------

final class PreviewView: UIView {
    override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }

    var preview: AVCaptureVideoPreviewLayer? { layer as? AVCaptureVideoPreviewLayer }
}

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

/// Everything happens on `queue`.
final class CameraFeed: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "camera")
    private let seen: @Sendable (Photo) -> Void

    init(seen: @escaping @Sendable (Photo) -> Void) {
        self.seen = seen
    }

    func start() async throws {
        guard await AVCaptureDevice.requestAccess(for: .video) else { return }
        queue.async { try? self.configure() }
    }

    private func configure() throws {
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else { return }
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
        guard let pixels = CMSampleBufferGetImageBuffer(sampleBuffer) else { return }
        CVPixelBufferLockBaseAddress(pixels, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(pixels, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(pixels) else { return }
        let height = CVPixelBufferGetHeight(pixels)
        let bytes = UnsafeRawBufferPointer(start: base, count: height * CVPixelBufferGetBytesPerRow(pixels))
        seen(Photo(width: CVPixelBufferGetWidth(pixels), height: height, rgba: [UInt8](bytes)))
    }
}

// --- the microphone -------------------------------------------------------------------------------

actor Recorder {
    private let engine = AVAudioEngine()

    func start(heard: @escaping @Sendable ([Float]) -> Void) async throws {
        guard await AVAudioApplication.requestRecordPermission() else { return }
        let session = AVAudioSession.sharedInstance()
        try session.setCategory(.record, mode: .measurement)
        try session.setActive(true, options: .notifyOthersOnDeactivation)
        let format = engine.inputNode.outputFormat(forBus: 0)
        engine.inputNode.installTap(onBus: 0, bufferSize: 4096, format: format) { buffer, _ in
            guard let samples = try? resampled(buffer, rate: 16_000) else { return }
            heard(samples)
        }
        engine.prepare()
        try engine.start()
    }

    func stop() {
        engine.inputNode.removeTap(onBus: 0)
        engine.stop()
    }
}

private func resampled(_ buffer: AVAudioPCMBuffer, rate: Double) throws -> [Float] {
    let capacity = AVAudioFrameCount(Double(buffer.frameLength) * rate / buffer.format.sampleRate) + 1
    guard
        let format = AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: rate, channels: 1, interleaved: false),
        let converter = AVAudioConverter(from: buffer.format, to: format),
        let output = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: capacity)
    else { return [] }
    try converter.convert(to: output, from: buffer)
    guard let channels = output.floatChannelData else { return [] }
    return [Float](UnsafeBufferPointer(start: channels[0], count: Int(output.frameLength)))
}
