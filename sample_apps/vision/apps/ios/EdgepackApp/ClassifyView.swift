import EdgeCore
import PhotosUI
import SwiftUI
import UIKit

/// What is in the picture of the camera, or in a photo?
struct ClassifyView: View {
    @State private var item: PhotosPickerItem?
    @State private var photo: UIImage?
    @State private var camera: Camera?
    // Its preview is connected to what it was started with.
    @State private var isStarted = false
    @State private var work: Task<Void, Never>?
    @State private var answer = ""
    @State private var details = ""
    @State private var worker = Worker<Classifier> {
        try await Classifier(try readTask(ClassificationTask.self, folder: payload()), read: readFile, open: openCallee)
    }

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 12) {
                if let camera, isStarted {
                    CameraPreview(camera: camera)
                        .frame(height: 400)
                        .clipped()
                } else if let photo {
                    Image(uiImage: photo)
                        .resizable()
                        .scaledToFit()
                        .frame(maxHeight: 400)
                }
                Button(camera == nil ? "Camera" : "Stop") {
                    if camera == nil { startCamera() } else { stopCamera() }
                }
                PhotosPicker("Choose a photo", selection: $item, matching: .images)
                Text(verbatim: answer)
                    .font(.title)
                    .textSelection(.enabled)
                Text(verbatim: details)
                    .textSelection(.enabled)
            }
            .frame(maxWidth: .infinity, alignment: .leading)
            .padding()
        }
        .onChange(of: item) { _, chosen in
            guard let chosen else { return }
            // The same photo can be chosen once more.
            item = nil
            classify(chosen)
        }
        .onDisappear { stopCamera() }
    }

    private func startCamera() {
        let started = Camera()
        begin("")
        camera = started
        work = Task {
            do {
                try await started.start()
                if !Task.isCancelled { isStarted = true }
                while let pixels = await started.frame() {
                    let found = try await worker.run { try $0.classify(pixels) }
                    if !Task.isCancelled { show(found) }
                }
            } catch {
                if !Task.isCancelled { fail(error) }
            }
        }
    }

    private func stopCamera() {
        guard let camera else { return }
        work?.cancel()
        camera.stop()
        self.camera = nil
        isStarted = false
    }

    private func classify(_ chosen: PhotosPickerItem) {
        begin("Running…")
        work = Task {
            do {
                guard let data = try await chosen.loadTransferable(type: Data.self) else {
                    throw EdgeError("the photo cannot be had")
                }
                if Task.isCancelled { return }
                photo = UIImage(data: data)
                let found = try await worker.run { try $0.classify(try pixels(ofPhoto: data)) }
                if !Task.isCancelled { show(found) }
            } catch {
                if !Task.isCancelled { fail(error) }
            }
        }
    }

    /// Leave what was begun before: its answer would come between those of what begins now.
    private func begin(_ word: String) {
        stopCamera()
        work?.cancel()
        photo = nil
        answer = word
        details = ""
    }

    private func show(_ found: Classified) {
        answer = found.classes
            .map { "\($0.label)  \(shown(($0.probability * 1000).rounded() / 10)) %" }
            .joined(separator: "\n")
        details = "picture \(whole(found.prepareMillis)) ms, model \(whole(found.modelMillis)) ms"
    }

    private func fail(_ error: any Error) {
        stopCamera()
        answer = message(of: error)
        details = ""
    }
}
