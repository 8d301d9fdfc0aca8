import EdgeCore
import SwiftUI

/// A text, and the same in another language.
struct TranslateView: View {
    @State private var text = ""
    @State private var languages: [Language] = []
    @State private var chosen = 0
    @State private var isRunning = false
    @State private var answer = ""
    @State private var details = ""
    @State private var worker = Worker<Translator> {
        try await Translator(try readTask(TranslationTask.self, folder: payload()), read: readFile, open: openCallee)
    }

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 12) {
                TextField("Text to translate", text: $text, axis: .vertical)
                if !languages.isEmpty {
                    Picker("Language", selection: $chosen) {
                        ForEach(Array(languages.indices), id: \.self) { place in
                            Text(verbatim: languages[place].name)
                        }
                    }
                }
                Button("Translate") {
                    Task { await translate() }
                }
                .disabled(isRunning || text.isEmpty)
                Text(verbatim: answer)
                    .font(.title)
                    .textSelection(.enabled)
                Text(verbatim: details)
                    .textSelection(.enabled)
            }
            .frame(maxWidth: .infinity, alignment: .leading)
            .padding()
        }
        .task {
            languages = (try? readTask(TranslationTask.self, folder: payload()))?.languages ?? []
            try? await worker.prepare()
        }
    }

    private func translate() async {
        isRunning = true
        answer = "Running…"
        details = ""
        let given = text
        let language = languages.indices.contains(chosen) ? languages[chosen] : nil
        do {
            let made = try await worker.run { try $0.translate(given, language) }
            answer = made.text
            let times = "encoder \(whole(made.encoderMillis)) ms, decoder \(whole(made.decoderMillis)) ms"
            let cut = made.isCut ? "\nSome of the text was left out: it was longer than the model takes." : ""
            details = "\(times) for \(made.tokens) tokens\(cut)"
        } catch {
            answer = message(of: error)
        }
        isRunning = false
    }
}
