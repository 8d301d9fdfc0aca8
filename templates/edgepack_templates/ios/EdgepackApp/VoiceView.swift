import EdgeCore
import SwiftUI

/// Record, find the speech, write it down, and say how long each step took.
struct VoiceView: View {
    @Environment(\.scenePhase) private var phase
    @State private var recorder: Recorder?
    @State private var isRunning = false
    @State private var answer = ""
    @State private var details = ""
    @State private var worker = Worker<Transcriber> {
        try await Transcriber(try readTask(VoiceTask.self, folder: payload()), read: readFile, open: openCallee)
    }

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 12) {
                Button(recorder == nil ? "Record" : "Stop") {
                    if let recorder { recorder.stop() } else { record() }
                }
                .disabled(isRunning)
                Text(verbatim: answer)
                    .font(.title)
                    .textSelection(.enabled)
                Text(verbatim: details)
                    .textSelection(.enabled)
            }
            .frame(maxWidth: .infinity, alignment: .leading)
            .padding()
        }
        .task { try? await worker.prepare() }
        // Nobody who left this screen wants to be listened to.
        .onDisappear { recorder?.stop() }
        .onChange(of: phase) { _, now in
            if now == .background { recorder?.stop() }
        }
    }

    /// One recording, from the first sample to its text; whatever ends it, what was heard is written down.
    private func record() {
        let started = Recorder()
        recorder = started
        answer = "Listening…"
        details = ""
        Task {
            do {
                let sound = try await started.record()
                recorder = nil
                isRunning = true
                answer = "Running…"
                show(try await worker.run { try $0.transcribe(sound.samples, rate: sound.rate) }, sound)
            } catch {
                recorder = nil
                answer = message(of: error)
            }
            isRunning = false
        }
    }

    private func show(_ made: Transcription, _ sound: Recorded) {
        answer = made.text.isEmpty ? "No speech was found." : made.text
        let utterances = made.utterances.map { "\(tenths($0.startSeconds)) to \(tenths($0.endSeconds))  \($0.text)" }
        let steps = made.steps.map { "\($0.name): \(whole($0.millis)) ms, \($0.calls) ×" }
        let all = made.steps.map(\.millis).reduce(0, +)
        let seconds = Double(sound.samples.count) / Double(sound.rate)
        let sum = "\(tenths(seconds)) of sound, \(whole(all)) ms in all"
        details = (ended(sound.ending) + utterances + [""] + steps + [sum]).joined(separator: "\n")
    }

    /// What people should know of the end of a recording that they did not end.
    private func ended(_ ending: Ending) -> [String] {
        switch ending {
        case .asked: return []
        case .full: return ["The minute that a recording may last was full.", ""]
        case .interrupted, .rerouted: return ["Something else took the microphone, which ended the recording.", ""]
        }
    }

    private func tenths(_ seconds: Double) -> String { "\(shown((seconds * 10).rounded() / 10)) s" }
}
