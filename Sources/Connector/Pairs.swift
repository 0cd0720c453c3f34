import Bytes

/// A name and its value in the patch's arena, decoded. Rows of them are ranges of `Patch.pairs`.
struct Pair {
  var name: Range<Int>
  var value: Range<Int>

  /// Bytes of both.
  var count: Int { name.count + value.count }

  /// Decodes a query or form; empty pieces between `&` are no pairs, a name without `=` has an empty value.
  /// - Returns: the row of new pairs, or nil when a `%` has no two digits behind it.
  static func decode(_ buffer: borrowing Buffer, into arena: inout Buffer, _ pairs: inout [Pair]) -> Range<Int>? {
    let text = buffer.span
    let first = pairs.count
    var start = 0
    while start < text.count {
      let end = text.firstOffset(of: UInt8(ascii: "&"), from: start) ?? text.count
      defer { start = end + 1 }
      if end == start { continue }
      let piece = text.extracting(start..<end)
      let equals = piece.firstOffset(of: UInt8(ascii: "=")) ?? piece.count
      let nameStart = arena.count
      guard arena.appendFormDecoded(piece.extracting(..<equals)) else { return nil }
      let valueStart = arena.count
      guard arena.appendFormDecoded(piece.extracting(min(equals + 1, piece.count)...)) else { return nil }
      pairs.append(Pair(name: nameStart..<valueStart, value: valueStart..<arena.count))
    }
    return first..<pairs.count
  }
}

extension Pair {
  /// Whether a query or form stands as decoding, sorting and encoding would leave it.
  ///
  /// What needs an escape is left to those, and so is whatever they would add or drop: a name without `=`, an empty piece. Of
  /// what remains, the space's `+` comes before all else, as the space does.
  static func areCanonical(_ text: Span<UInt8>, asForm: Bool) -> Bool {
    var before: (name: Range<Int>, value: Range<Int>)?
    var start = 0
    while start < text.count {
      var equals: Int?
      var end = start
      while end < text.count, text[end] != UInt8(ascii: "&") {
        if text[end] == UInt8(ascii: "=") {
          if equals != nil { return false }
          equals = end
        } else if !isUnreserved(text[end]), !asForm || text[end] != UInt8(ascii: "+") {
          return false
        }
        end &+= 1
      }
      guard let equals else { return false }
      let pair = (name: start..<equals, value: equals + 1..<end)
      if let before {
        let names = compare(text, before.name, pair.name)
        if names > 0 || names == 0 && compare(text, before.value, pair.value) > 0 { return false }
      }
      if end == text.count { return true }
      before = pair
      start = end + 1
    }
    // Nothing at all, or an empty piece at the end.
    return text.isEmpty
  }

  /// Byte by byte: below, at or above 0 as the first comes before, with or behind the second.
  fileprivate static func compare(_ bytes: Span<UInt8>, _ a: Range<Int>, _ b: Range<Int>) -> Int {
    let (x, y) = (bytes.extracting(a), bytes.extracting(b))
    for index in 0..<min(x.count, y.count) where x[index] != y[index] {
      return Int(x[index]) - Int(y[index])
    }
    return x.count - y.count
  }
}

extension Patch {
  /// A copy of a row, by name and then by value, byte by byte.
  mutating func appendSorted(_ row: Range<Int>) -> Range<Int> {
    let first = pairs.count
    guard hasRoom(for: row.count * MemoryLayout<Pair>.stride) else { return first..<first }
    for index in row { pairs.append(pairs[index]) }
    sort(first, pairs.count)
    return first..<pairs.count
  }

  /// Writes a row as a query or form to `scratch`.
  mutating func encode(_ row: Range<Int>, asForm: Bool) {
    for index in row {
      if index > row.lowerBound { scratch.append(UInt8(ascii: "&")) }
      scratch.appendEncoded(arena, pairs[index].name, asForm: asForm)
      scratch.append(UInt8(ascii: "="))
      scratch.appendEncoded(arena, pairs[index].value, asForm: asForm)
    }
  }

  /// A heap sort: in place, and no query makes it slow. Equal pairs are alike, so their order does not matter.
  private mutating func sort(_ first: Int, _ end: Int) {
    let count = end - first
    guard count > 1 else { return }
    for root in stride(from: count / 2 - 1, through: 0, by: -1) { sink(root, first, count) }
    for last in stride(from: count - 1, to: 0, by: -1) {
      pairs.swapAt(first, first + last)
      sink(0, first, last)
    }
  }

  private mutating func sink(_ root: Int, _ first: Int, _ count: Int) {
    var root = root
    while 2 * root + 1 < count {
      var child = 2 * root + 1
      if child + 1 < count, isLess(pairs[first + child], pairs[first + child + 1]) { child += 1 }
      guard isLess(pairs[first + root], pairs[first + child]) else { return }
      pairs.swapAt(first + root, first + child)
      root = child
    }
  }

  private func isLess(_ a: Pair, _ b: Pair) -> Bool {
    let bytes = arena.span
    let names = Pair.compare(bytes, a.name, b.name)
    return names == 0 ? Pair.compare(bytes, a.value, b.value) < 0 : names < 0
  }
}
