internal import Bytes

/// Byte strings with a tag → small numbers, looked up from a `Span`: no `String` is made and 1,000 names cost what one does.
///
/// Open addressing over at least twice as many slots as names. The names are the configuration's, so the hash needs no seed.
struct NameTable: Sendable {
  private struct Entry {
    var start: Int
    var count: Int
    var tag: UInt32
    var hash: UInt64
    var value: Int
  }

  private let ignoresCase: Bool
  private var entries: [Entry] = []
  private var bytes: [UInt8] = []
  /// Index of an entry plus one; 0 is free.
  private var slots: [UInt32] = [0, 0]

  /// - Parameter ignoresCase: ASCII letters are the same in both cases.
  init(ignoringCase: Bool) {
    ignoresCase = ignoringCase
  }

  var count: Int { entries.count }

  /// Adds or replaces.
  mutating func insert(_ name: Span<UInt8>, tag: UInt32 = 0, value: Int) {
    let hash = hash(name, tag)
    if let index = index(name, tag, hash) {
      entries[index].value = value
      return
    }
    entries.append(Entry(start: bytes.count, count: name.count, tag: tag, hash: hash, value: value))
    bytes += Array(name)
    if entries.count * 2 > slots.count {
      slots = Array(repeating: 0, count: slots.count * 2)
      for i in entries.indices { place(i) }
    } else {
      place(entries.count - 1)
    }
  }

  func find(_ name: Span<UInt8>, tag: UInt32 = 0) -> Int? {
    index(name, tag, hash(name, tag)).map { entries[$0].value }
  }

  private mutating func place(_ index: Int) {
    var slot = Int(truncatingIfNeeded: entries[index].hash) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(index + 1)
  }

  private func index(_ name: Span<UInt8>, _ tag: UInt32, _ hash: UInt64) -> Int? {
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) - 1
      if entries[index].hash == hash, entries[index].tag == tag, isName(of: index, name) { return index }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private func isName(of index: Int, _ name: Span<UInt8>) -> Bool {
    let (start, count) = (entries[index].start, entries[index].count)
    let own = bytes.span.extracting(start..<start &+ count)
    return ignoresCase ? own.equalsIgnoringCase(name) : own.equals(name)
  }

  /// FNV-1a.
  private func hash(_ name: Span<UInt8>, _ tag: UInt32) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(tag)
    for i in name.indices { hash = (hash ^ UInt64(folded(name[i]))) &* 0x100_0000_01B3 }
    return hash ^ hash >> 32
  }

  private func folded(_ byte: UInt8) -> UInt8 { ignoresCase ? byte.asciiLowercased : byte }
}
