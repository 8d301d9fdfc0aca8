import Foundation

/// How an output becomes named classes. labels: name of the file beside the manifest.
public struct Classes: Codable, Sendable {
    public enum Activation: String, Codable, Sendable {
        case softmax, sigmoid, none
    }

    public let labels: String
    public let activation: Activation
    public let top: Int

    public init(labels: String, activation: Activation, top: Int) {
        self.labels = labels
        self.activation = activation
        self.top = top
    }
}

/// A class and its probability.
public struct Named: Sendable, Equatable {
    public let label: String
    public let probability: Double
}

/// Labels of a file, one a line; blanks around them, a byte order mark and ends of any kind go.
public func readLabels(_ data: Data) throws -> [String] {
    guard var codes = codePoints(ofUtf8: Array(data)) else { throw EdgeError("the labels are not UTF-8") }
    if codes.first == 0xFEFF { codes.removeFirst() }
    var lines: [[Int]] = [[]]
    for (place, code) in codes.enumerated() {
        if code == 0x0A && place > 0 && codes[place - 1] == 0x0D { continue }
        if code == 0x0A || code == 0x0D { lines.append([]) } else { lines[lines.count - 1].append(code) }
    }
    var labels = lines.map { line -> String in
        var rest = line[...]
        while let code = rest.first, code == 0x20 || code == 0x09 { rest.removeFirst() }
        while let code = rest.last, code == 0x20 || code == 0x09 { rest.removeLast() }
        return string(of: rest)
    }
    while labels.last?.isEmpty == true { labels.removeLast() }
    if let empty = labels.firstIndex(of: "") { throw EdgeError("line \(empty + 1) of the labels is empty") }
    return labels
}

/// The likeliest labels, the likeliest first.
public func classify(_ output: [Double], _ labels: [String], _ classes: Classes) throws -> [Named] {
    guard labels.count == output.count else {
        throw EdgeError("\(labels.count) labels for \(output.count) classes")
    }
    let shares: [Double]
    switch classes.activation {
    case .softmax: shares = softmax(output)
    case .sigmoid: shares = sigmoid(output)
    case .none: shares = output
    }
    return top(shares, classes.top).map { Named(label: labels[$0], probability: shares[$0]) }
}
