import Foundation

/// The discrete Fourier transform of any number of real samples, in double precision.
///
/// Splits by the prime factors of the number (twos in pairs); a prime number takes its square of steps.
/// An even number of samples is transformed as half as many complex ones. Holds scratch space: not for
/// two threads at once. Source: Cooley and Tukey, Mathematics of Computation 19, 1965.
final class Fourier {
    private typealias Numbers = UnsafeMutablePointer<Double>

    private let size: Int
    private let isEven: Bool
    private let points: Int
    private let factors: [Int]
    // Plain memory: checks of each access would take most of the time.
    private let cosine: Numbers
    private let sine: Numbers
    private let fineCosine: Numbers
    private let fineSine: Numbers
    private let real: Numbers
    private let imaginary: Numbers
    private let spareReal: Numbers
    private let spareImaginary: Numbers

    init(_ size: Int) {
        let points = size % 2 == 0 ? size / 2 : size
        self.size = size
        self.points = points
        isEven = size % 2 == 0
        factors = Fourier.factors(of: points)
        let widest = factors.max() ?? 1
        cosine = Fourier.made(points) { cos(2 * Double.pi * Double($0) / Double(points)) }
        sine = Fourier.made(points) { -sin(2 * Double.pi * Double($0) / Double(points)) }
        fineCosine = Fourier.made(points + 1) { cos(2 * Double.pi * Double($0) / Double(size)) }
        fineSine = Fourier.made(points + 1) { -sin(2 * Double.pi * Double($0) / Double(size)) }
        real = Fourier.made(points) { _ in 0 }
        imaginary = Fourier.made(points) { _ in 0 }
        spareReal = Fourier.made(widest) { _ in 0 }
        spareImaginary = Fourier.made(widest) { _ in 0 }
    }

    deinit {
        for numbers in [cosine, sine, fineCosine, fineSine, real, imaginary, spareReal, spareImaginary] {
            numbers.deallocate()
        }
    }

    /// Squared magnitudes of the first size / 2 + 1 frequencies of `samples`, put into `power`.
    func power(_ samples: [Double], _ power: inout [Double]) {
        samples.withUnsafeBufferPointer { transform($0, 0, 1, 0, points, 0) }
        for k in 0...(size / 2) { power[k] = isEven ? untangled(k) : squared(real[k], imaginary[k]) }
    }

    private func squared(_ real: Double, _ imaginary: Double) -> Double { real * real + imaginary * imaginary }

    /// The squared magnitude of frequency k, out of a transform of even and odd samples at once.
    private func untangled(_ k: Int) -> Double {
        let one = k == points ? 0 : k
        let other = k == 0 ? 0 : points - k
        let evenReal = (real[one] + real[other]) / 2
        let evenImaginary = (imaginary[one] - imaginary[other]) / 2
        let oddReal = (imaginary[one] + imaginary[other]) / 2
        let oddImaginary = (real[other] - real[one]) / 2
        return squared(
            evenReal + oddReal * fineCosine[k] - oddImaginary * fineSine[k],
            evenImaginary + oddReal * fineSine[k] + oddImaginary * fineCosine[k]
        )
    }

    /// Transform `count` points from `from` on, `stride` apart, into the places from `to` on.
    private func transform(
        _ samples: UnsafeBufferPointer<Double>, _ from: Int, _ stride: Int, _ to: Int, _ count: Int, _ level: Int
    ) {
        if count == 1 {
            real[to] = isEven ? samples[2 * from] : samples[from]
            imaginary[to] = isEven ? samples[2 * from + 1] : 0
            return
        }
        let factor = factors[level]
        let part = count / factor
        for r in 0..<factor {
            transform(samples, from + r * stride, stride * factor, to + r * part, part, level + 1)
        }
        for k in 0..<part { combine(to + k, part, factor, k * stride, part * stride) }
    }

    /// One butterfly: `factor` places, `part` apart; turn and step are angles in 1 / points of a circle.
    private func combine(_ first: Int, _ part: Int, _ factor: Int, _ turn: Int, _ step: Int) {
        for q in 0..<factor {
            var sumReal = real[first]
            var sumImaginary = imaginary[first]
            let angle = (turn + q * step) % points
            var at = 0
            for r in 1..<factor {
                at += angle
                if at >= points { at -= points }
                let place = first + r * part
                sumReal += real[place] * cosine[at] - imaginary[place] * sine[at]
                sumImaginary += real[place] * sine[at] + imaginary[place] * cosine[at]
            }
            spareReal[q] = sumReal
            spareImaginary[q] = sumImaginary
        }
        for q in 0..<factor {
            real[first + q * part] = spareReal[q]
            imaginary[first + q * part] = spareImaginary[q]
        }
    }

    private static func made(_ count: Int, _ number: (Int) -> Double) -> Numbers {
        let numbers = Numbers.allocate(capacity: count)
        for place in 0..<count { numbers[place] = number(place) }
        return numbers
    }

    private static func factors(of size: Int) -> [Int] {
        var found: [Int] = []
        var rest = size
        while rest % 4 == 0 {
            found.append(4)
            rest /= 4
        }
        var factor = 2
        while rest > 1 {
            while rest % factor == 0 {
                found.append(factor)
                rest /= factor
            }
            factor += 1
        }
        return found
    }
}
