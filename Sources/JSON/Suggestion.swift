import Bytes

/// The one of `candidates` that `word` is probably a misspelling of: `did you mean "upstream"?`
///
/// Case, `-` and `_` cost nothing; beyond that a third of the letters may be wrong.
public func closest(to word: String, among candidates: some Sequence<String>) -> String? {
  let letters = normalised(word)
  guard letters.count <= 64 else { return nil }
  var best: (distance: Int, candidate: String)?
  for candidate in candidates {
    let other = normalised(candidate)
    let allowed = max(1, min(letters.count, other.count) / 3)
    guard abs(letters.count - other.count) <= allowed else { continue }
    let distance = editDistance(letters, other)
    if distance <= allowed, distance < best?.distance ?? .max { best = (distance, candidate) }
  }
  return best?.candidate
}

private func normalised(_ word: String) -> [UInt8] {
  word.utf8.map { $0 == 0x2D ? 0x5F : $0.asciiLowercased }
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row.append(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.count]
}
