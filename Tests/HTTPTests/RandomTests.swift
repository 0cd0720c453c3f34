import HTTP
import Support
import Testing

/// Small and the same everywhere: SplitMix64.
struct Random: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Valid messages with a few bytes changed, dropped or doubled: whatever comes of them, it does not depend on the cuts (I5).
@Test(arguments: 0..<8) func `damaged messages read the same however they are cut`(_ seed: Int) {
  var random = Random(state: UInt64(seed))
  let sources = Vector.all.filter { $0.input.count < 400 }
  let spice: [UInt8] = Array("\r\n\t :;,=\"%/?#\\0aZ\u{0}\u{7F}".utf8) + [0x80, 0xFF]
  let page = GuardPage()
  for _ in 0..<400 {
    guard var vector = sources.randomElement(using: &random) else { return }
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      guard let at = vector.input.indices.randomElement(using: &random) else { break }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: vector.input[at] = spice.randomElement(using: &random) ?? 0
      case 1: vector.input.remove(at: at)
      case 2: vector.input.insert(spice.randomElement(using: &random) ?? 0, at: at)
      default: vector.input.insert(contentsOf: vector.input[at..<min(at + 9, vector.input.count)], at: at)
      }
    }
    guard !vector.input.isEmpty else { continue }
    let count = vector.input.count
    let whole = Reading(vector, vector.input, cuts: [count], on: page)
    let bytewise = Reading(vector, vector.input, cuts: 1...count, on: page)
    #expect(bytewise.lines == whole.lines, "\(vector.input)")
    let cuts = (0..<3).map { _ in Int.random(in: 1...count, using: &random) }.sorted()
    let pieces = Reading(vector, vector.input, cuts: cuts + [count], on: page)
    #expect(pieces.lines == whole.lines, "\(vector.input) at \(cuts)")
  }
}
