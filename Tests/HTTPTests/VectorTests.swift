import Support
import Testing

/// Every vector four ways (I5): whole, one byte at a time, cut in two at every place, and with another message behind it.
/// Behind what a reader is given no byte can be read (`GuardPage`).
@Suite struct VectorTests {
  @Test(arguments: Vector.all) func `a vector reads as expected, however it is cut and whatever follows`(
    _ vector: Vector
  ) {
    let page = GuardPage()
    let whole = Reading(vector, vector.input, cuts: [vector.input.count], on: page)
    check(whole.lines, vector)

    let bytewise = Reading(vector, vector.input, cuts: 1...vector.input.count, on: page)
    #expect(bytewise.lines == whole.lines, "one byte at a time")

    // A long input has too many places.
    let count = vector.input.count
    let step = count < 2000 ? 1 : count / 100
    for cut in stride(from: 1, to: count, by: step) {
      let halves = Reading(vector, vector.input, cuts: [cut, count], on: page)
      guard halves.lines != whole.lines else { continue }
      #expect(halves.lines == whole.lines, "cut at \(cut)")
      break
    }
    checkFollowed(vector, whole)
  }

  private func check(_ lines: [[UInt8]], _ vector: Vector) {
    var rest = lines[...]
    for expected in vector.expected {
      let text = String(decoding: expected, as: UTF8.self)
      if text.hasPrefix("no ") {
        #expect(!lines.contains(Array(expected.dropFirst(3))), "\(text)")
        continue
      }
      let isStatus = expected.count == 3 && expected.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
      let found = rest.firstIndex { isStatus ? $0.starts(with: expected + [0x20]) : $0 == expected }
      guard let found else {
        let all = lines.map { "  " + String(decoding: $0.prefix(200), as: UTF8.self) }.joined(separator: "\n")
        Issue.record("\(vector.testDescription): no line \"\(text.prefix(200))\" in\n\(all)")
        return
      }
      rest = rest[(found + 1)...]
    }
    if let last = vector.expected.last, isFinal(last) {
      #expect(rest.isEmpty, "\(vector.testDescription): more follows")
    }
  }

  private func isFinal(_ line: [UInt8]) -> Bool {
    line == Array("more".utf8) || line.starts(with: "400".utf8) || line.starts(with: "502".utf8)
  }

  /// A message behind it changes nothing about it, and is read as a message only where one may start.
  private func checkFollowed(_ vector: Vector, _ whole: Reading) {
    guard !vector.endsInput, whole.lines.last != Array("more".utf8), let last = whole.lines.last else { return }
    let canary = Array("GET /smuggled HTTP/1.1\r\nHost: canary\r\n\r\n".utf8)
    let followed = Reading(vector, vector.input + canary, cuts: [vector.input.count + canary.count])
    if vector.isResponse, !last.starts(with: "502".utf8) {
      #expect(followed.surplus == whole.surplus + canary.count)
    } else if last == Array("end".utf8) {
      #expect(followed.lines.starts(with: whole.lines))
      #expect(
        followed.lines.dropFirst(whole.lines.count).first?.starts(with: "request GET origin /smuggled".utf8) == true)
    } else {
      #expect(followed.lines == whole.lines)
    }
  }

  /// Rows whose decision is not the readers': routing and policy are tested with the broker, times and sockets with the daemon.
  private static let elsewhere: Set<Int> = [47, 109, 110, 111, 129, 130, 131, 134]

  @Test func `every row of the rules has a vector, or is decided elsewhere`() {
    let rows = Set(Vector.all.map(\.row))
    #expect(Set(1...134).subtracting(rows) == VectorTests.elsewhere)
    #expect(Vector.all.count > 500)
  }
}
