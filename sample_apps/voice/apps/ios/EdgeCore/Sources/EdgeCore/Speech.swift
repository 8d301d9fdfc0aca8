import Foundation

/// How a probability of speech per frame becomes stretches of speech.
///
/// frame: samples a probability stands for. Speech begins at `threshold` and goes on until it stays below
/// `release` for minSilenceMs; what does not last longer than minSpeechMs is dropped. padMs is added to
/// both sides, or half the silence between two. longestMs: a stretch is cut in the last silence before it
/// gets longer, or right there; 0 for never.
public struct Speech: Codable, Sendable {
    public let sampleRate: Int
    public let frame: Int
    public let threshold: Double
    public let release: Double
    public let minSpeechMs: Int
    public let minSilenceMs: Int
    public let padMs: Int
    public let longestMs: Int

    enum CodingKeys: String, CodingKey {
        case frame, threshold, release
        case sampleRate = "sample_rate"
        case minSpeechMs = "min_speech_ms"
        case minSilenceMs = "min_silence_ms"
        case padMs = "pad_ms"
        case longestMs = "longest_ms"
    }
}

/// Samples from `first` on, up to but without `end`.
public struct Stretch: Sendable, Equatable {
    public let first: Int
    public let end: Int
}

/// The stretches of speech in a recording of so many samples; probabilities: one per frame.
public func stretches(_ probabilities: [Float], _ samples: Int, _ speech: Speech) -> [Stretch] {
    let found = spoken(probabilities, samples, speech)
        .filter { ($0.end - $0.first) * 1000 > speech.minSpeechMs * speech.sampleRate }
    let pad = speech.padMs * speech.sampleRate / 1000
    return found.enumerated().map { place, stretch in
        let before = place > 0 ? stretch.first - found[place - 1].end : 2 * pad
        let after = place + 1 < found.count ? found[place + 1].first - stretch.end : 2 * pad
        return Stretch(
            first: max(0, stretch.first - min(pad, before / 2)),
            end: min(samples, stretch.end + min(pad, after / 2))
        )
    }
}

/// Stretches before short ones are dropped and the others padded.
private func spoken(_ probabilities: [Float], _ samples: Int, _ speech: Speech) -> [Stretch] {
    let silence = speech.minSilenceMs * speech.sampleRate
    let longest = speech.longestMs * speech.sampleRate
    var found: [Stretch] = []
    var start = -1
    var quiet = -1
    var pause: Stretch?
    for (number, probability) in probabilities.enumerated() {
        let now = number * speech.frame
        if Double(probability) >= speech.threshold {
            if start < 0 { start = now } else if quiet >= 0 { pause = Stretch(first: quiet, end: now) }
            quiet = -1
        } else if Double(probability) < speech.release && start >= 0 {
            if quiet < 0 { quiet = now }
            if (now - quiet) * 1000 >= silence {
                found.append(Stretch(first: start, end: quiet))
                start = -1
                quiet = -1
                pause = nil
            }
        }
        if longest > 0 && start >= 0 && now > start && (now + speech.frame - start) * 1000 > longest {
            let cut = quiet >= 0 ? Stretch(first: quiet, end: -1) : pause ?? Stretch(first: now, end: now)
            found.append(Stretch(first: start, end: cut.first))
            start = cut.end
            quiet = -1
            pause = nil
        }
    }
    if start >= 0 { found.append(Stretch(first: start, end: samples)) }
    return found
}
