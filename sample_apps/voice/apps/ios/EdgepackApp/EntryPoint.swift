import Foundation
import SwiftUI

@main
struct EntryPoint: App {
    // The tests run inside the app; it need not check itself beside them.
    private let isTested = ProcessInfo.processInfo.environment["XCTestConfigurationFilePath"] != nil

    var body: some Scene {
        WindowGroup {
            if isTested {
                Text("Testing")
            } else {
                TabView {
                    VoiceView()
                        .tabItem { Label("Voice", systemImage: "waveform") }
                    CheckView()
                        .tabItem { Label("Check", systemImage: "checkmark.seal") }
                }
            }
        }
    }
}
