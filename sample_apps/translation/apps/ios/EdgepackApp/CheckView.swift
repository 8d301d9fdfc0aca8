import EdgeCore
import SwiftUI

/// Do the models still give, on this device, what they gave when they were trained?
struct CheckView: View {
    @State private var report: Report?
    @State private var isRunning = false

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 12) {
                Text(verbatim: report?.title ?? "")
                    .font(.title)
                Text(verbatim: isRunning ? "Running…" : report?.verdict.rawValue ?? "")
                    .font(.largeTitle)
                    .foregroundStyle(color)
                Button("Run again") {
                    Task { await run() }
                }
                .disabled(isRunning)
                Text(verbatim: report?.lines.joined(separator: "\n") ?? "")
                    .font(.system(.footnote, design: .monospaced))
                    .textSelection(.enabled)
            }
            .frame(maxWidth: .infinity, alignment: .leading)
            .padding()
        }
        .task {
            // Coming back to this screen is no reason to run it all again.
            if report == nil { await run() }
        }
    }

    private var color: Color {
        switch report?.verdict {
        case .pass: return .green
        case .fail: return .red
        case .notRun, nil: return .orange
        }
    }

    @MainActor
    private func run() async {
        guard !isRunning else { return }
        isRunning = true
        report = await Task.detached(priority: .userInitiated) { await checked() }.value
        isRunning = false
    }
}
