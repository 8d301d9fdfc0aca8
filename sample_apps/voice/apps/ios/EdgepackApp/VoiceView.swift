import EdgeCore
import SwiftUI

/// Record, find the speech, write it down, and say how long each step took.
struct VoiceView: View {
    @State private var recorder: Recorder?
    @State private var isRunning = false
    @State private var answer = ""
    @State private var details = ""
    private let worker = Worker<Transcriber> {
        try await Transcriber(try readTask(VoiceTask.self, folder: payload()), read: readFile, open: openCallee)
    }

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 12) {
                Button(recorder == nil ? "Record" : "Stop") {
                    Task { await toggle() }
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
    }

    private func toggle() async {
        if let recorder {
            self.recorder = nil
            await transcribe(await recorder.stop())
            return
        }
        let started = Recorder()
        recorder = started
        answer = "Listening…"
        details = ""
        do {
            try await started.start()
        } catch {
            recorder = nil
            answer = "\(error)"
        }
    }

    private func transcribe(_ sound: Recorded) async {
        isRunning = true
        answer = "Running…"
        do {
            let made = try await worker.run { try $0.transcribe(sound.samples, rate: sound.rate) }
            show(made, Double(sound.samples.count) / Double(sound.rate))
        } catch {
            answer = "\(error)"
        }
        isRunning = false
    }

    private func show(_ made: Transcription, _ seconds: Double) {
        answer = made.text.isEmpty ? "No speech was found." : made.text
        let utterances = made.utterances.map { "\(tenths($0.startSeconds)) to \(tenths($0.endSeconds))  \($0.text)" }
        let steps = made.steps.map { "\($0.name): \(whole($0.millis)) ms, \($0.calls) ×" }
        let all = made.steps.map(\.millis).reduce(0, +)
        details = (utterances + [""] + steps + ["\(tenths(seconds)) of sound, \(whole(all)) ms in all"])
            .joined(separator: "\n")
    }

    private func tenths(_ seconds: Double) -> String { "\(shown((seconds * 10).rounded() / 10)) s" }
}
