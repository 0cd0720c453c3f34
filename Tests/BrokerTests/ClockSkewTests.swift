import Broker
import Bytes
import Testing

private let now: Int64 = 1_800_000_000

private func date(_ seconds: Int64) -> String {
  var buffer = Buffer()
  buffer.appendHTTPDate(seconds)
  return String(buffer.span)
}

private final class Upstream {
  var skew = ClockSkew()

  func says(_ date: String) -> Bool { skew.observe(date: Array(date.utf8).span, now: now) }
}

@Test(arguments: [0, 1, -1, 60, -60] as [Int64]) func `within a minute clocks agree`(_ off: Int64) {
  let upstream = Upstream()
  #expect(!upstream.says(date(now + off)))
  #expect(upstream.skew.seconds == 0)
}

@Test(arguments: [61, -61, 3600, -86_400 * 365] as [Int64]) func `further off is news, once`(_ off: Int64) {
  let upstream = Upstream()
  #expect(upstream.says(date(now + off)))
  #expect(upstream.skew.seconds == off)
  #expect(!upstream.says(date(now + off)))
  #expect(!upstream.says(date(now + off + off.signum() * 60)))
  #expect(upstream.skew.seconds == off)
}

@Test func `so is a change by more than a minute, and its end`() {
  let upstream = Upstream()
  #expect(upstream.says(date(now + 100)))
  #expect(upstream.says(date(now + 161)))
  #expect(upstream.skew.seconds == 161)
  #expect(upstream.says(date(now - 100)))
  #expect(upstream.says(date(now - 3)))
  #expect(upstream.skew.seconds == 0)
  #expect(!upstream.says(date(now)))
}

@Test func `one that stays about a minute off is not news with every answer`() {
  let upstream = Upstream()
  let news = (0..<20).count { upstream.says(date(now + ($0.isMultiple(of: 2) ? 61 : 59))) }
  #expect(news == 1)
}

@Test(arguments: ["", "yesterday", "Sunday, 06-Nov-94 08:49:37 GMT"]) func `what is no date says nothing`(
  _ text: String
) {
  let upstream = Upstream()
  #expect(upstream.says(date(now + 100)))
  #expect(!upstream.says(text))
  #expect(upstream.skew.seconds == 100)
}
