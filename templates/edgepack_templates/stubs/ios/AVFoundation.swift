// What generated apps use of AVFoundation: declarations with the SDK's signatures, nothing that runs. Blocks
// that run on threads of the system's own are @Sendable here even where the SDK does not say so.
@_exported import AppleFoundation
@_exported import CoreMedia
import Dispatch
@_exported import Foundation
@_exported import QuartzCore

// --- sound: the session ---------------------------------------------------------------------------

open class AVAudioSession: NSObject, @unchecked Sendable {
    public struct Category: RawRepresentable, Hashable, Sendable {
        public let rawValue: String

        public init(rawValue: String) { fatalError() }

        public static let record = Category(rawValue: "")
        public static let playback = Category(rawValue: "")
        public static let playAndRecord = Category(rawValue: "")
    }

    public struct Mode: RawRepresentable, Hashable, Sendable {
        public let rawValue: String

        public init(rawValue: String) { fatalError() }

        public static let `default` = Mode(rawValue: "")
        public static let measurement = Mode(rawValue: "")
        public static let spokenAudio = Mode(rawValue: "")
    }

    public struct CategoryOptions: OptionSet, Sendable {
        public let rawValue: UInt

        public init(rawValue: UInt) { fatalError() }

        public static var mixWithOthers: CategoryOptions { fatalError() }
        public static var duckOthers: CategoryOptions { fatalError() }
        public static var defaultToSpeaker: CategoryOptions { fatalError() }
    }

    public struct SetActiveOptions: OptionSet, Sendable {
        public let rawValue: UInt

        public init(rawValue: UInt) { fatalError() }

        public static var notifyOthersOnDeactivation: SetActiveOptions { fatalError() }
    }

    public static let interruptionNotification = Notification.Name("")
    public enum InterruptionType: UInt, Sendable {
        case ended, began
    }

    public static let routeChangeNotification = Notification.Name("")
    public static let mediaServicesWereResetNotification = Notification.Name("")

    open class func sharedInstance() -> AVAudioSession { fatalError() }

    open func setCategory(_ category: Category, mode: Mode, options: CategoryOptions = []) throws { fatalError() }

    open func setActive(_ active: Bool, options: SetActiveOptions = []) throws { fatalError() }

    open func setPreferredSampleRate(_ sampleRate: Double) throws { fatalError() }

    open var sampleRate: Double { fatalError() }
    open var isInputAvailable: Bool { fatalError() }
}

public let AVAudioSessionInterruptionTypeKey: String = ""

@available(iOS 17.0, *)
open class AVAudioApplication: NSObject, @unchecked Sendable {
    public enum recordPermission: Int, Sendable {
        case undetermined, denied, granted
    }

    open class var shared: AVAudioApplication { fatalError() }

    open var recordPermission: recordPermission { fatalError() }

    open class func requestRecordPermission() async -> Bool { fatalError() }
}

// --- sound: numbers -------------------------------------------------------------------------------

public typealias AVAudioChannelCount = UInt32
public typealias AVAudioFrameCount = UInt32
public typealias AVAudioPacketCount = UInt32
public typealias AVAudioFramePosition = Int64
public typealias AVAudioNodeBus = Int

public enum AVAudioCommonFormat: UInt, Sendable {
    case otherFormat, pcmFormatFloat32, pcmFormatFloat64, pcmFormatInt16, pcmFormatInt32
}

open class AVAudioFormat: NSObject {
    public init?(
        commonFormat format: AVAudioCommonFormat,
        sampleRate: Double,
        channels: AVAudioChannelCount,
        interleaved: Bool
    ) { fatalError() }

    public init?(standardFormatWithSampleRate sampleRate: Double, channels: AVAudioChannelCount) { fatalError() }

    open var sampleRate: Double { fatalError() }
    open var channelCount: AVAudioChannelCount { fatalError() }
    open var commonFormat: AVAudioCommonFormat { fatalError() }
    open var isInterleaved: Bool { fatalError() }
}

open class AVAudioBuffer: NSObject {
    open var format: AVAudioFormat { fatalError() }
}

open class AVAudioPCMBuffer: AVAudioBuffer {
    public init?(pcmFormat format: AVAudioFormat, frameCapacity: AVAudioFrameCount) { fatalError() }

    open var frameCapacity: AVAudioFrameCount { fatalError() }

    open var frameLength: AVAudioFrameCount {
        get { fatalError() }
        set { fatalError() }
    }

    open var stride: Int { fatalError() }
    open var floatChannelData: UnsafePointer<UnsafeMutablePointer<Float>>? { fatalError() }
    open var int16ChannelData: UnsafePointer<UnsafeMutablePointer<Int16>>? { fatalError() }
}

open class AVAudioTime: NSObject {}

public enum AVAudioConverterInputStatus: Int, Sendable {
    case haveData, noDataNow, endOfStream
}

public enum AVAudioConverterOutputStatus: Int, Sendable {
    case haveData, inputRanDry, endOfStream, error
}

public typealias AVAudioConverterInputBlock =
    @Sendable (AVAudioPacketCount, UnsafeMutablePointer<AVAudioConverterInputStatus>) -> AVAudioBuffer?

open class AVAudioConverter: NSObject {
    public init?(from fromFormat: AVAudioFormat, to toFormat: AVAudioFormat) { fatalError() }

    open func reset() { fatalError() }

    open func convert(to outputBuffer: AVAudioPCMBuffer, from inputBuffer: AVAudioPCMBuffer) throws { fatalError() }

    open func convert(
        to outputBuffer: AVAudioBuffer,
        error outError: UnsafeMutablePointer<NSError?>?,
        withInputFrom inputBlock: AVAudioConverterInputBlock
    ) -> AVAudioConverterOutputStatus { fatalError() }
}

open class AVAudioFile: NSObject {
    public init(forReading fileURL: URL) throws { fatalError() }

    open var processingFormat: AVAudioFormat { fatalError() }
    open var length: AVAudioFramePosition { fatalError() }

    open func read(into buffer: AVAudioPCMBuffer) throws { fatalError() }
}

// --- sound: recording -----------------------------------------------------------------------------

public typealias AVAudioNodeTapBlock = @Sendable (AVAudioPCMBuffer, AVAudioTime) -> Void

open class AVAudioNode: NSObject {
    open func inputFormat(forBus bus: AVAudioNodeBus) -> AVAudioFormat { fatalError() }

    open func outputFormat(forBus bus: AVAudioNodeBus) -> AVAudioFormat { fatalError() }

    open func installTap(
        onBus bus: AVAudioNodeBus,
        bufferSize: AVAudioFrameCount,
        format: AVAudioFormat?,
        block tapBlock: @escaping AVAudioNodeTapBlock
    ) { fatalError() }

    open func removeTap(onBus bus: AVAudioNodeBus) { fatalError() }
}

open class AVAudioIONode: AVAudioNode {}

open class AVAudioInputNode: AVAudioIONode {}

extension NSNotification.Name {
    public static let AVAudioEngineConfigurationChange = NSNotification.Name("")
}

open class AVAudioEngine: NSObject {
    public override init() { fatalError() }

    open var inputNode: AVAudioInputNode { fatalError() }
    open var isRunning: Bool { fatalError() }

    open func prepare() { fatalError() }

    open func start() throws { fatalError() }

    open func stop() { fatalError() }
}

// --- the camera -----------------------------------------------------------------------------------

public struct AVMediaType: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) { fatalError() }

    public static let video = AVMediaType(rawValue: "")
    public static let audio = AVMediaType(rawValue: "")
}

public enum AVAuthorizationStatus: Int, Sendable {
    case notDetermined, restricted, denied, authorized
}

open class AVCaptureDevice: NSObject, @unchecked Sendable {
    public struct DeviceType: RawRepresentable, Hashable, Sendable {
        public let rawValue: String

        public init(rawValue: String) { fatalError() }

        public static let builtInWideAngleCamera = DeviceType(rawValue: "")
    }

    public enum Position: Int, Sendable {
        case unspecified, back, front
    }

    open class func `default`(for mediaType: AVMediaType) -> AVCaptureDevice? { fatalError() }

    open class func `default`(
        _ deviceType: DeviceType, for mediaType: AVMediaType?, position: Position
    ) -> AVCaptureDevice? { fatalError() }

    open class func authorizationStatus(for mediaType: AVMediaType) -> AVAuthorizationStatus { fatalError() }

    open class func requestAccess(for mediaType: AVMediaType) async -> Bool { fatalError() }

    open var position: Position { fatalError() }
}

extension AVCaptureDevice {
    @available(iOS 17.0, *)
    open class RotationCoordinator: NSObject {
        public init(device: AVCaptureDevice, previewLayer: CALayer?) { fatalError() }

        open var videoRotationAngleForHorizonLevelPreview: CGFloat { fatalError() }
        open var videoRotationAngleForHorizonLevelCapture: CGFloat { fatalError() }
    }
}

@available(*, unavailable)
extension AVCaptureDevice.RotationCoordinator: @unchecked Sendable {}

open class AVCaptureInput: NSObject {}

open class AVCaptureDeviceInput: AVCaptureInput {
    public init(device: AVCaptureDevice) throws { fatalError() }
}

open class AVCaptureOutput: NSObject {
    open func connection(with mediaType: AVMediaType) -> AVCaptureConnection? { fatalError() }
}

open class AVCaptureConnection: NSObject {
    @available(iOS 17.0, *)
    open func isVideoRotationAngleSupported(_ videoRotationAngle: CGFloat) -> Bool { fatalError() }

    @available(iOS 17.0, *)
    open var videoRotationAngle: CGFloat {
        get { fatalError() }
        set { fatalError() }
    }

    open var isVideoMirrored: Bool {
        get { fatalError() }
        set { fatalError() }
    }
}

// In the SDK this method is optional; here it must be there, so that a typo in it does not go unseen.
public protocol AVCaptureVideoDataOutputSampleBufferDelegate: NSObjectProtocol {
    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    )
}

open class AVCaptureVideoDataOutput: AVCaptureOutput {
    public override init() { fatalError() }

    open var videoSettings: [String: Any]! {
        get { fatalError() }
        set { fatalError() }
    }

    open var alwaysDiscardsLateVideoFrames: Bool {
        get { fatalError() }
        set { fatalError() }
    }

    open func setSampleBufferDelegate(
        _ sampleBufferDelegate: (any AVCaptureVideoDataOutputSampleBufferDelegate)?,
        queue sampleBufferCallbackQueue: DispatchQueue?
    ) { fatalError() }
}

open class AVCaptureSession: NSObject, @unchecked Sendable {
    public struct Preset: RawRepresentable, Hashable, Sendable {
        public let rawValue: String

        public init(rawValue: String) { fatalError() }

        public static let high = Preset(rawValue: "")
        public static let photo = Preset(rawValue: "")
        public static let vga640x480 = Preset(rawValue: "")
        public static let hd1280x720 = Preset(rawValue: "")
    }

    public override init() { fatalError() }

    open var sessionPreset: Preset {
        get { fatalError() }
        set { fatalError() }
    }

    open var isRunning: Bool { fatalError() }

    open func canSetSessionPreset(_ preset: Preset) -> Bool { fatalError() }

    open func canAddInput(_ input: AVCaptureInput) -> Bool { fatalError() }

    open func addInput(_ input: AVCaptureInput) { fatalError() }

    open func canAddOutput(_ output: AVCaptureOutput) -> Bool { fatalError() }

    open func addOutput(_ output: AVCaptureOutput) { fatalError() }

    open func beginConfiguration() { fatalError() }

    open func commitConfiguration() { fatalError() }

    open func startRunning() { fatalError() }

    open func stopRunning() { fatalError() }
}

public struct AVLayerVideoGravity: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) { fatalError() }

    public static let resizeAspect = AVLayerVideoGravity(rawValue: "")
    public static let resizeAspectFill = AVLayerVideoGravity(rawValue: "")
}

open class AVCaptureVideoPreviewLayer: CALayer {
    public init(session: AVCaptureSession) { fatalError() }

    open var session: AVCaptureSession? {
        get { fatalError() }
        set { fatalError() }
    }

    open var connection: AVCaptureConnection? { fatalError() }

    open var videoGravity: AVLayerVideoGravity {
        get { fatalError() }
        set { fatalError() }
    }
}
