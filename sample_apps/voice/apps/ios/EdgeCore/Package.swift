// swift-tools-version:5.9
import PackageDescription

// Everything that needs no phone: golden cases and their verdict, and what happens before and after a model.
let package = Package(
    name: "EdgeCore",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "EdgeCore", targets: ["EdgeCore"])],
    targets: [
        .target(name: "EdgeCore"),
        .testTarget(name: "EdgeCoreTests", dependencies: ["EdgeCore"], resources: [.copy("Contract")]),
    ]
)
