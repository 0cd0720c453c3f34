import Bytes

/// The edits that a connector makes to a request; one of them serves all requests of a loop, one after another.
///
/// Everything is a range of `bytes`. The memory has carried credentials: call `forget()` when the edits are on their way.
public struct Patch: ~Copyable {
  public struct Header: Sendable, Equatable {
    /// Index into `Targets.headers` of the signer.
    public var name: Int
    public var value: Range<Int>
  }

  /// The headers to add, in the connector's order.
  public internal(set) var headers: [Header] = []
  /// The query to send in place of the caller's, without the `?`; nil sends none. Means something when `changesQuery`.
  public internal(set) var query: Range<Int>?
  public internal(set) var changesQuery = false
  /// The body to send in place of the caller's.
  public internal(set) var body: Range<Int>?

  /// Values, decoded queries and results, one after another.
  var arena = Buffer()
  /// One function's output before it goes to the arena.
  var scratch = Buffer()
  var pairs: [Pair] = []
  var state = Evaluation()

  public init() {}

  /// What the ranges are ranges of.
  public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get { arena.span }
  }

  /// Overwrites what the last request left behind; the room is kept unless it grew out of proportion.
  public mutating func forget() {
    begin()
    if arena.capacity > Patch.kept { arena.release() } else { arena.wipe() }
    if scratch.capacity > Patch.kept { scratch.release() } else { scratch.wipe() }
  }

  private static let kept = 16 << 10

  /// Writes this request's `nonce` (32 hexadecimal digits) and `uuid` (version 4, RFC 9562 §5.4).
  mutating func appendEntropy(_ entropy: RequestEntropy, _ nonce: String?, _ uuid: String?) {
    var start = arena.count
    if let nonce { arena.append(nonce) } else { appendHex(entropy.nonce, 0..<32) }
    state.nonce = start..<arena.count
    start = arena.count
    if let uuid {
      arena.append(uuid)
    } else {
      let free: UInt128 = ~(0xF << 76 | 0x3 << 62)
      let version: UInt128 = 0x4 << 76 | 0x2 << 62
      for (index, digits) in [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].enumerated() {
        if index > 0 { arena.append(UInt8(ascii: "-")) }
        appendHex(entropy.uuid & free | version, digits)
      }
    }
    state.uuid = start..<arena.count
  }

  private mutating func appendHex(_ number: UInt128, _ digits: Range<Int>) {
    for digit in digits {
      let nibble = UInt8(truncatingIfNeeded: number >> (124 - 4 * digit)) & 15
      arena.append(hexDigit(nibble))
    }
  }

  /// Whether so many bytes more can be held for this request; if not, it is refused in the end.
  mutating func hasRoom(for count: Int) -> Bool {
    if arena.count + pairs.count * MemoryLayout<Pair>.stride + count <= state.limit { return true }
    state.isTooLarge = true
    return false
  }

  /// Appends what a function left in `scratch` to the arena.
  mutating func appendScratch() {
    if hasRoom(for: scratch.count) { arena.append(scratch, from: 0) }
  }

  /// Refuses the request, for the first reason that there is.
  mutating func fail(_ error: EvaluationError, at node: Int) {
    state.failure = state.failure ?? error
    state.missing = node
  }

  mutating func begin() {
    if !headers.isEmpty { headers.removeAll(keepingCapacity: true) }
    if !pairs.isEmpty { pairs.removeAll(keepingCapacity: true) }
    if !state.values.isEmpty { state.values.removeAll(keepingCapacity: true) }
    query = nil
    changesQuery = false
    body = nil
    arena.clear()
    scratch.clear()
    state.failure = nil
  }
}
