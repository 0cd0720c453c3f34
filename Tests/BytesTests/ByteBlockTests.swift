import Testing

@testable import Bytes

@Suite struct ByteBlockTests {
  /// The bytes for which the answer is yes, each asked at every place.
  private func members(_ question: (ByteBlock) -> ByteBlock.Mask) -> Set<UInt8> {
    var found: Set<UInt8> = []
    for byte in UInt8.min...UInt8.max {
      var answers: Set<Bool> = []
      for place in 0..<ByteBlock.count {
        var bytes = Array(repeating: byte ^ 0xFF, count: ByteBlock.count + 1)
        bytes[place + 1] = byte
        answers.insert(question(ByteBlock(bytes.span, at: 1))[place])
      }
      #expect(answers.count == 1, "\(byte) is judged by its place")
      if answers == [true] { found.insert(byte) }
    }
    return found
  }

  @Test func `a byte is found at every place, and nothing else is`() {
    for byte in [0x00, 0x0D, 0x20, 0x3A, 0x7F, 0x80, 0xFF] as [UInt8] {
      #expect(members { $0.are(byte) } == [byte])
    }
  }

  @Test func `a range has its ends and nothing beyond them`() {
    for range in [0x00...0x00, 0x00...0x7F, 0x41...0x5A, 0x80...0xFF, 0x24...0x3B] as [ClosedRange<UInt8>] {
      #expect(members { $0.are(range.lowerBound, to: range.upperBound) } == Set(range))
    }
  }

  @Test func `control characters are those below SP, and DEL`() {
    #expect(members(\.areControls) == Set(0x00...0x1F).union([0x7F]))
  }

  @Test func `the first of a mask is the first in the text`() {
    for first in 0..<ByteBlock.count {
      for second in first..<ByteBlock.count {
        var bytes = Array(repeating: UInt8(ascii: "a"), count: ByteBlock.count)
        bytes[first] = 0x3A
        bytes[second] = 0x3A
        #expect(ByteBlock.before(ByteBlock(bytes.span, at: 0).are(0x3A)) == first)
      }
    }
    let bytes = Array(repeating: UInt8(ascii: "a"), count: ByteBlock.count)
    #expect(ByteBlock.before(ByteBlock(bytes.span, at: 0).are(0x3A)) == ByteBlock.count)
  }
}
