import Foundation
#if canImport(CryptoKit)
import CryptoKit
#endif

private let blockBytes = 1 << 20

/// sha256 of a file in 64 hex digits.
public func sha256(of file: URL) throws -> String {
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    #if canImport(CryptoKit)
    var digest = CryptoKit.SHA256()
    // A block that was read lives until a pool ends: without one, the whole file would be held.
    while try autoreleasepool(invoking: {
        guard let block = try handle.read(upToCount: blockBytes), !block.isEmpty else { return false }
        digest.update(data: block)
        return true
    }) {}
    return hex(digest.finalize())
    #else
    var digest = PlainSHA256()
    while let block = try handle.read(upToCount: blockBytes), !block.isEmpty {
        digest.update(block)
    }
    return hex(digest.finalize())
    #endif
}

private func hex<Bytes: Sequence>(_ bytes: Bytes) -> String where Bytes.Element == UInt8 {
    bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
}

/// sha256 for systems without CryptoKit, where the package is tested. Source: FIPS 180-4.
struct PlainSHA256 {
    private static let constants: [UInt32] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ]

    private var state: [UInt32] = [
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    ]
    private var pending: [UInt8] = []
    private var length: UInt64 = 0

    mutating func update(_ data: Data) {
        length += UInt64(data.count)
        pending.append(contentsOf: data)
        var start = 0
        while pending.count - start >= 64 {
            mix(at: start)
            start += 64
        }
        pending.removeFirst(start)
    }

    mutating func finalize() -> [UInt8] {
        let bits = length * 8
        pending.append(0x80)
        while pending.count % 64 != 56 { pending.append(0) }
        for shift in stride(from: 56, through: 0, by: -8) {
            pending.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
        }
        for start in stride(from: 0, to: pending.count, by: 64) { mix(at: start) }
        return state.flatMap { word in
            [24, 16, 8, 0].map { shift in UInt8(truncatingIfNeeded: word >> UInt32(shift)) }
        }
    }

    private mutating func mix(at start: Int) {
        var words = [UInt32](repeating: 0, count: 64)
        for index in 0..<16 {
            for byte in 0..<4 {
                words[index] = words[index] << 8 | UInt32(pending[start + index * 4 + byte])
            }
        }
        for index in 16..<64 {
            let low = rotated(words[index - 15], 7) ^ rotated(words[index - 15], 18) ^ words[index - 15] >> 3
            let high = rotated(words[index - 2], 17) ^ rotated(words[index - 2], 19) ^ words[index - 2] >> 10
            words[index] = words[index - 16] &+ low &+ words[index - 7] &+ high
        }
        var mixed = state
        for index in 0..<64 {
            let choice = mixed[4] & mixed[5] ^ ~mixed[4] & mixed[6]
            let majority = mixed[0] & mixed[1] ^ mixed[0] & mixed[2] ^ mixed[1] & mixed[2]
            let upper = rotated(mixed[4], 6) ^ rotated(mixed[4], 11) ^ rotated(mixed[4], 25)
            let lower = rotated(mixed[0], 2) ^ rotated(mixed[0], 13) ^ rotated(mixed[0], 22)
            let first = mixed[7] &+ upper &+ choice &+ Self.constants[index] &+ words[index]
            mixed.removeLast()
            mixed[3] = mixed[3] &+ first
            mixed.insert(first &+ lower &+ majority, at: 0)
        }
        for index in 0..<8 { state[index] = state[index] &+ mixed[index] }
    }

    private func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word >> count | word << (32 - count)
    }
}
