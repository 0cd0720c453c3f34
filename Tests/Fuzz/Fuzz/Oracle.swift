/// Ends the process when a promise is broken: libFuzzer keeps the input.
func require(_ holds: Bool, _ promise: @autoclosure () -> String) {
  if !holds { fatalError("broken: \(promise())") }
}

/// A copy with exactly the room that it needs, so that AddressSanitizer sees a byte too far.
final class Exact {
  private let start: UnsafeMutablePointer<UInt8>
  private let count: Int

  init(_ bytes: ArraySlice<UInt8>) {
    start = .allocate(capacity: bytes.count)
    count = bytes.count
    _ = UnsafeMutableBufferPointer(start: start, count: count).initialize(from: bytes)
  }

  deinit { start.deallocate() }

  var span: Span<UInt8> {
    @_lifetime(borrow self)
    get { _overrideLifetime(Span(_unsafeStart: start, count: count), borrowing: self) }
  }
}

/// Ways to cut an input into reads: one byte at a time, and at places that its bytes decide. Each ends with the input's end.
func cuts(of input: [UInt8]) -> [[Int]] {
  guard input.count > 1 else { return [] }
  var state = input.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
  func place() -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return 1 + Int(state >> 33) % (input.count - 1)
  }
  let all = input.count <= 512 ? [Array(1...input.count)] : []
  return all + [[place(), input.count], [place(), place(), place()].sorted() + [input.count]]
}

/// Text for a message: the bytes as far as they can be shown.
func shown(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self).debugDescription }
