import EdgeCore
import PhotosUI
import SwiftUI
import UIKit

/// What is in the picture of the camera, or in a photo?
struct ClassifyView: View {
    @State private var item: PhotosPickerItem?
    @State private var photo: UIImage?
    @State private var camera: Camera?
    @State private var answer = ""
    @State private var details = ""
    private let worker = Worker<Classifier> {
        try await Classifier(try readTask(ClassificationTask.self, folder: payload()), read: readFile, open: openCallee)
    }

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 12) {
                if let camera {
                    CameraPreview(session: camera.session)
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
            Task { await classify(chosen) }
        }
        .onDisappear { stopCamera() }
    }

    private func startCamera() {
        let started = Camera()
        camera = started
        Task {
            do {
                try await started.start()
                while camera === started {
                    guard let pixels = started.frame() else {
                        try await Task.sleep(nanoseconds: 50_000_000)
                        continue
                    }
                    let found = try await worker.run { try $0.classify(pixels) }
                    if camera === started { show(found) }
                }
            } catch {
                stopCamera()
                fail(error)
            }
        }
    }

    private func stopCamera() {
        camera?.stop()
        camera = nil
    }

    private func classify(_ chosen: PhotosPickerItem?) async {
        stopCamera()
        answer = "Running…"
        do {
            guard let data = try await chosen?.loadTransferable(type: Data.self) else {
                throw EdgeError("the photo cannot be had")
            }
            photo = UIImage(data: data)
            show(try await worker.run { try $0.classify(try pixels(ofPhoto: data)) })
        } catch {
            fail(error)
        }
    }

    private func show(_ found: Classified) {
        answer = found.classes
            .map { "\($0.label)  \(shown(($0.probability * 1000).rounded() / 10)) %" }
            .joined(separator: "\n")
        details = "picture \(whole(found.prepareMillis)) ms, model \(whole(found.modelMillis)) ms"
    }

    private func fail(_ error: any Error) {
        answer = "\(error)"
        details = ""
    }
}
