import Foundation
import XCTest
@testable import EdgeCore

private struct Sounds: Decodable {
    struct Resampled: Decodable {
        let seed: Int
        let samples: Int
        let from: Int
        let to: Int
        let values: String
    }

    struct Mono: Decodable {
        let seed: Int
        let channels: Int
        let samples: Int
        let values: String
    }

    struct Pcm16: Decodable {
        let values: [Float]
        let samples: [Int16]
    }

    struct Framed: Decodable {
        let seed: Int
        let samples: Int
        let settings: Frames
        let count: Int
        let sha256: String
    }

    struct Spectrum: Decodable {
        let seed: Int
        let samples: Int
        let settings: LogMel
        let shape: [Int]
        let values: String
    }

    struct Whisper: Decodable {
        let seed: Int
        let samples: Int
        let settings: LogMel
        let frames: [Int]
        let values: String
        let mean: Double
    }

    struct Reading: Decodable {
        let file: String
        let rate: Int
        let channels: Int
        let samples: [Int16]
    }

    struct Wav: Decodable {
        let rate: Int
        let samples: [Int16]
        let file: String
        let read: [Reading]
        let refused: [String]
    }

    let resampled: [Resampled]
    let mono: Mono
    let pcm16: Pcm16
    let frames: [Framed]
    let spectrograms: [Spectrum]
    let whisper: Whisper
    let wav: Wav
}

final class SoundTests: XCTestCase {
    private func given() throws -> Sounds { try vectors("sound", Sounds.self) }

    func testSoundIsResampledAsInEdgepack() throws {
        for each in try given().resampled {
            let done = try resample(wave(each.seed, each.samples), each.from, each.to)
            assertClose("from \(each.from)", try unpacked(each.values), done)
        }
        XCTAssertThrowsError(try resample([0, 1], 15991, 16007))
        XCTAssertThrowsError(try resample([0, 1], 0, 16000))
        XCTAssertEqual(try resample([], 48000, 16000), [])
    }

    func testFramesAreEqualToTheBit() throws {
        for each in try given().frames {
            let done = frames(wave(each.seed, each.samples), each.settings)
            XCTAssertEqual(each.count, done.count, "\(each)")
            XCTAssertEqual(each.sha256, digestOf(done), "\(each)")
        }
    }

    func testSpectrogramsAreThoseOfEdgepack() throws {
        for each in try given().spectrograms {
            let done = try logMel(wave(each.seed, each.samples), each.settings)
            let isRowByRow = each.settings.layout == .bandsFirst
            XCTAssertEqual(each.shape, isRowByRow ? [done.bands, done.frames] : [done.frames, done.bands])
            assertClose("window \(each.settings.window)", try unpacked(each.values), done.values)
        }
    }

    func testThirtySecondsAreWhatWhisperHears() throws {
        let whisper = try given().whisper
        let done = try logMel(wave(whisper.seed, whisper.samples), whisper.settings)
        XCTAssertEqual([done.bands, done.frames], [80, 3000])
        let picked = (0..<80).flatMap { band in whisper.frames.map { done.values[band * 3000 + $0] } }
        assertClose("whisper", try unpacked(whisper.values), picked)
        let mean = done.values.reduce(0) { $0 + Double($1) } / Double(done.values.count)
        XCTAssertEqual(mean, whisper.mean, accuracy: 1e-6)
    }

    func testChannelsAndSixteenBits() throws {
        let channels = try given().mono
        let whole = wave(channels.seed, channels.samples * channels.channels)
        assertClose("mono", try unpacked(channels.values), mono(whole, channels.channels))
        let pcm = try given().pcm16
        XCTAssertEqual(pcm.samples, toPcm16(pcm.values))
        let all = Array(Int16.min...Int16.max)
        XCTAssertEqual(all, toPcm16(fromPcm16(all)))
        XCTAssertEqual(toPcm16([.infinity, -.infinity, .nan]), [32767, -32768, 0])
    }

    func testRecordingsAreReadAndWritten() throws {
        let wav = try given().wav
        XCTAssertEqual(try bytesOf(wav.file), writeWav(wav.samples, wav.rate))
        for each in wav.read {
            let done = try readWav(bytesOf(each.file))
            XCTAssertEqual([each.rate, each.channels], [done.rate, done.channels])
            XCTAssertEqual(each.samples, done.samples)
        }
        for (place, file) in wav.refused.enumerated() {
            XCTAssertThrowsError(try readWav(bytesOf(file)), "file \(place)")
        }
    }

    func testTransformsOfAnySizeAreRight() {
        for size in [1, 2, 3, 12, 17, 64, 97, 400] {
            let samples = (0..<size).map { sin(Double($0 * $0) + 1) }
            var power = [Double](repeating: 0, count: size / 2 + 1)
            Fourier(size).power(samples, &power)
            for k in power.indices {
                var real = 0.0
                var imaginary = 0.0
                for (place, sample) in samples.enumerated() {
                    real += sample * cos(2 * Double.pi * Double(place * k) / Double(size))
                    imaginary += sample * sin(2 * Double.pi * Double(place * k) / Double(size))
                }
                XCTAssertEqual(real * real + imaginary * imaginary, power[k], accuracy: 1e-9, "\(size): \(k)")
            }
        }
    }

    func testTooShortARecordingIsRefused() throws {
        let whisper = #"""
        {"sample_rate": 16000, "length": 0, "window": 400, "hop": 160, "center": "reflect", "drop_last": true,
         "power": 2, "bands": 80, "mel_scale": "slaney", "mel_norm": "area", "low_hz": 0.0, "high_hz": 8000.0,
         "log": "log10", "floor": 1e-10, "range": 8.0, "offset": 4.0, "scale": 0.25, "layout": "bands-first"}
        """#
        XCTAssertThrowsError(try logMel([], settings(LogMel.self, whisper)))
        let none: [String: Any] = ["length": 100, "center": "none"]
        XCTAssertThrowsError(try logMel([0, 1], settings(LogMel.self, whisper, none)))
    }
}
