import Foundation

/// Probabilities that add up to 1.
public func softmax(_ logits: [Double]) -> [Double] {
    let highest = logits.max() ?? 0
    let powers = logits.map { exp($0 - highest) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
}

/// Logarithms of the probabilities.
public func logSoftmax(_ logits: [Double]) -> [Double] {
    let highest = logits.max() ?? 0
    let total = log(logits.reduce(0) { $0 + exp($1 - highest) })
    return logits.map { $0 - highest - total }
}

/// Each number's own probability, 1 / (1 + exp(-x)).
public func sigmoid(_ logits: [Double]) -> [Double] {
    logits.map { logit in
        let power = exp(-abs(logit))
        return (logit >= 0 ? 1 : power) / (1 + power)
    }
}

/// Places of the `count` largest values, the largest first.
///
/// Of equal values the one with the lower index comes first; those that are no numbers come last.
public func top(_ values: [Double], _ count: Int) -> [Int] {
    let wanted = min(count, values.count)
    var found: [Int] = []
    for place in values.indices {
        var at = found.count
        while at > 0 && isLarger(values[place], values[found[at - 1]]) { at -= 1 }
        if at >= wanted { continue }
        if found.count == wanted { found.removeLast() }
        found.insert(place, at: at)
    }
    return found
}

private func isLarger(_ one: Double, _ other: Double) -> Bool {
    one > (other.isNaN ? -Double.infinity : other)
}

/// Items by falling value; those of equal value, 0 and -0 too, stay in their order.
private func ranked<T>(_ items: [T], _ value: (T) -> Double) -> [T] {
    let pairs = items.map { ($0, value($0)) }
    return pairs.enumerated()
        .sorted { one, other in
            let (first, second) = (one.element.1, other.element.1)
            return first == second ? one.offset < other.offset : first > second
        }
        .map(\.element.0)
}

// --- tokens of frames --------------------------------------------------------------------------

/// Tokens of frames: the likeliest of each, repetitions and blanks left out. Source: Graves, ICML 2006.
public func ctcGreedy(_ logits: [[Double]], _ blank: Int) -> [Int] {
    let best = logits.map { top($0, 1)[0] }
    return best.enumerated()
        .filter { place, token in token != blank && (place == 0 || token != best[place - 1]) }
        .map(\.element)
}

/// A text that frames may stand for, and the logarithm of its probability.
public struct Transcript: Sendable {
    public let tokens: [Int]
    public let chance: Double
}

private struct Endings {
    var byBlank = -Double.infinity
    var byToken = -Double.infinity

    var chance: Double { logSum(byBlank, byToken) }
}

/// The likeliest texts of frames, the best first.
///
/// beams: texts that are followed. candidates: likeliest tokens of each frame that are tried.
/// Source: Hannun et al., arXiv:1408.2873, algorithm 1, without a language model.
public func ctcBeam(_ logits: [[Double]], _ blank: Int, beams: Int, candidates: Int) -> [Transcript] {
    let none = -Double.infinity
    var texts: [(tokens: [Int], endings: Endings)] = [([], Endings(byBlank: 0))]
    for frame in logits {
        let chances = logSoftmax(frame)
        var grown: [(tokens: [Int], endings: Endings)] = []
        var places: [[Int]: Int] = [:]
        func add(_ text: [Int], _ byBlank: Double, _ byToken: Double) {
            let place = places[text] ?? grown.count
            if place == grown.count {
                places[text] = place
                grown.append((text, Endings()))
            }
            grown[place].endings.byBlank = logSum(grown[place].endings.byBlank, byBlank)
            grown[place].endings.byToken = logSum(grown[place].endings.byToken, byToken)
        }
        for (text, endings) in texts {
            for token in top(chances, candidates) {
                let chance = chances[token]
                if token == blank {
                    add(text, endings.chance + chance, none)
                } else if text.last == token {
                    add(text, none, endings.byToken + chance)
                    add(text + [token], none, endings.byBlank + chance)
                } else {
                    add(text + [token], none, endings.chance + chance)
                }
            }
        }
        let possible = grown.filter { $0.endings.chance > none }
        texts = Array(ranked(possible) { $0.endings.chance }.prefix(beams))
    }
    return texts.map { Transcript(tokens: $0.tokens, chance: $0.endings.chance) }
}

/// log(exp(one) + exp(other)).
private func logSum(_ one: Double, _ other: Double) -> Double {
    let low = min(one, other)
    let high = max(one, other)
    return low == -Double.infinity ? high : high + log1p(exp(low - high))
}

// --- tokens one by one -------------------------------------------------------------------------

/// How a decoder's tokens are chosen, one after the other.
///
/// start: tokens that are given. end: token that ends a text. longest: most tokens with those of the
/// start. suppressed: tokens that are never chosen; suppressedFirst: nor as the first one. beams:
/// hypotheses followed at once; 1 takes the likeliest token each time. lengthPenalty: a hypothesis of n
/// tokens is compared by its log probability over ((5 + n) / 6) ** lengthPenalty, arXiv:1609.08144.
public struct Generation: Codable, Sendable {
    public let start: [Int]
    public let end: Int
    public let longest: Int
    public let suppressed: [Int]
    public let suppressedFirst: [Int]
    public let beams: Int
    public let lengthPenalty: Double

    enum CodingKeys: String, CodingKey {
        case start, end, longest, suppressed, beams
        case suppressedFirst = "suppressed_first"
        case lengthPenalty = "length_penalty"
    }
}

/// What a step of a decoder gives: logits of the next token, and the state behind the token.
public struct Stepped<State> {
    public let logits: [Float]
    public let state: State

    public init(logits: [Float], state: State) {
        self.logits = logits
        self.state = state
    }
}

/// A step of a decoder from (state, token, its place).
///
/// A state that was given stays good, since several hypotheses may go on from it.
public typealias Step<State> = (_ state: State, _ token: Int, _ place: Int) throws -> Stepped<State>

private struct Hypothesis<State> {
    let tokens: [Int]
    let total: Double
    let state: State

    func score(_ penalty: Double) -> Double { total / pow(Double(5 + tokens.count) / 6, penalty) }
}

private typealias Follow<State> = (Hypothesis<State>) throws -> (chances: [Double], state: State)

/// Tokens behind those of the start, without the end. Throws for logits that are no numbers.
public func generate<State>(_ step: Step<State>, _ state: State, _ settings: Generation) throws -> [Int] {
    guard let begin = settings.start.last else { throw EdgeError("a decoder needs a first token") }
    let last = settings.start.count - 1
    var begun = state
    for place in 0..<last { begun = try step(begun, settings.start[place], place).state }
    let room = settings.longest - settings.start.count
    if room < 1 { return [] }
    return try withoutActuallyEscaping(step) { step in
        let follow: Follow<State> = { hypothesis in
            let token = hypothesis.tokens.last ?? begin
            let stepped = try step(hypothesis.state, token, last + hypothesis.tokens.count)
            return (try chances(stepped.logits, settings, hypothesis.tokens.isEmpty), stepped.state)
        }
        let first = Hypothesis(tokens: [], total: 0, state: begun)
        let tokens =
            try settings.beams == 1
            ? greedy(follow, first, settings, room) : beam(follow, first, settings, room)
        return tokens.filter { $0 != settings.end }
    }
}

/// Log probabilities of the next token.
private func chances(_ logits: [Float], _ settings: Generation, _ isFirst: Bool) throws -> [Double] {
    var wide = logits.map { Double($0) }
    let barred = isFirst ? settings.suppressed + settings.suppressedFirst : settings.suppressed
    for token in barred where wide.indices.contains(token) { wide[token] = -Double.infinity }
    guard !wide.contains(where: { $0.isNaN }), wide.max()?.isFinite == true else {
        throw EdgeError("the decoder gave logits that are no numbers")
    }
    return logSoftmax(wide)
}

private func greedy<State>(
    _ follow: Follow<State>, _ first: Hypothesis<State>, _ settings: Generation, _ room: Int
) throws -> [Int] {
    var hypothesis = first
    while hypothesis.tokens.count < room {
        let (chances, state) = try follow(hypothesis)
        let token = top(chances, 1)[0]
        hypothesis = Hypothesis(
            tokens: hypothesis.tokens + [token], total: hypothesis.total + chances[token], state: state)
        if token == settings.end { break }
    }
    return hypothesis.tokens
}

/// The tokens of the best hypothesis.
///
/// Each that lives is followed by its `beams` + 1 likeliest tokens. Of all these the likeliest are looked
/// at: an end among the first `beams` is put aside, and the first `beams` others live on. It is over when
/// `beams` were put aside and none that lives scores better than the best of them.
private func beam<State>(
    _ follow: Follow<State>, _ first: Hypothesis<State>, _ settings: Generation, _ room: Int
) throws -> [Int] {
    let width = settings.beams
    let score = { (hypothesis: Hypothesis<State>) in hypothesis.score(settings.lengthPenalty) }
    var alive = [first]
    var ended: [Hypothesis<State>] = []
    for _ in 0..<room {
        let grown = try alive.flatMap { hypothesis in
            let (chances, state) = try follow(hypothesis)
            return top(chances, width + 1).map { token in
                Hypothesis(
                    tokens: hypothesis.tokens + [token], total: hypothesis.total + chances[token], state: state)
            }
        }
        let best = ranked(grown) { $0.total }.prefix(2 * width)
        ended += best.prefix(width).filter { $0.tokens.last == settings.end }
        alive = Array(best.filter { $0.tokens.last != settings.end }.prefix(width))
        let highest = ended.map(score).max() ?? -Double.infinity
        if alive.isEmpty || (ended.count >= width && alive.allSatisfy { score($0) <= highest }) {
            alive = []
            break
        }
    }
    return ranked(ended + alive, score)[0].tokens
}

// --- streams -----------------------------------------------------------------------------------

/// An output that a streaming model gets back as an input in the next call.
public struct Carried: Codable, Sendable {
    public let input: String
    public let output: String

    public init(input: String, output: String) {
        self.input = input
        self.output = output
    }
}

/// What a streaming model carries from call to call; `zeros` is the first state, by name of the input.
public struct CarriedState<T> {
    private let carried: [Carried]
    private var state: [String: T]

    public init(_ carried: [Carried], _ zeros: [String: T]) throws {
        self.carried = carried
        state = try stateOf(carried, zeros, \.input)
    }

    /// All inputs of the next call: what is given and what was carried.
    public func inputs(_ given: [String: T]) -> [String: T] { given.merging(state) { _, carried in carried } }

    /// The outputs that are results; the others are kept for the next call.
    public mutating func take(_ outputs: [String: T]) throws -> [String: T] {
        state = try stateOf(carried, outputs, \.output)
        let kept = Set(carried.map(\.output))
        return outputs.filter { !kept.contains($0.key) }
    }
}

/// What is carried into each input, by its name.
private func stateOf<T>(
    _ carried: [Carried], _ tensors: [String: T], _ name: KeyPath<Carried, String>
) throws -> [String: T] {
    var state: [String: T] = [:]
    for each in carried {
        guard let tensor = tensors[each[keyPath: name]] else { throw EdgeError("there is no \(each[keyPath: name])") }
        state[each.input] = tensor
    }
    return state
}
