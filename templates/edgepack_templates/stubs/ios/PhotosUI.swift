// What generated apps use of PhotosUI's picker: declarations with the SDK's signatures and isolation, nothing
// that runs. It needs no permission: the system shows it, the app gets what was picked.
import CoreTransferable
import Foundation
import SwiftUI

public struct PHPickerFilter: Equatable, Hashable, Sendable {
    public static let images = PHPickerFilter()
    public static let videos = PHPickerFilter()

    init() {}
}

public struct PhotosPickerItem: Equatable, Hashable, Sendable {
    public var itemIdentifier: String? { fatalError() }

    public func loadTransferable<T: Transferable & Sendable>(type: T.Type) async throws -> T? { fatalError() }
}

public struct PhotosPicker<Label: View>: View {
    nonisolated public init(
        selection: Binding<PhotosPickerItem?>,
        matching filter: PHPickerFilter? = nil,
        @ViewBuilder label: () -> Label
    ) { fatalError() }

    public var body: Never { fatalError() }
}

extension PhotosPicker where Label == Text {
    nonisolated public init(
        _ titleKey: LocalizedStringKey,
        selection: Binding<PhotosPickerItem?>,
        matching filter: PHPickerFilter? = nil
    ) { fatalError() }
}
