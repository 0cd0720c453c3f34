import Testing

@testable import Bytes

@Suite struct DateTests {
  @Test(
    arguments: [
      (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
      (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"),
      (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z"),
      (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z"),
      (1_767_225_600, "Thu, 01 Jan 2026 00:00:00 GMT", "2026-01-01T00:00:00Z"),
      (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"),
    ] as [(Int64, String, String)])
  func `a moment has one date in either format`(seconds: Int64, http: String, iso: String) {
    #expect(written { $0.appendHTTPDate(seconds) } == http)
    #expect(written { $0.appendISO8601(seconds) } == iso)
    #expect(read(http) == seconds)
  }

  @Test func `days of all years are read as they are written`() {
    // Every 97th of the years 0 to 9999, and each of 2000 to 2004.
    for day in [stride(from: -719_528, to: 2_932_897, by: 97), stride(from: 10_957, to: 12_784, by: 1)].joined() {
      let seconds = Int64(day * 86_400 + (day & 0xFFFF))
      let text = written { $0.appendHTTPDate(seconds) }
      guard read(text) != seconds else { continue }
      Issue.record("\(text)")
      return
    }
  }

  @Test(
    arguments: [
      "", "Sun, 06 Nov 1994 08:49:37 GM", "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 UTC",
      "Mon, 06 Nov 1994 08:49:37 GMT", "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
      "Sun,  6 Nov 1994 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:60 GMT", "Wed, 29 Feb 2100 00:00:00 GMT",
      "Mon, 01 Mar 2100 0x:00:00 GMT", "Wed, 30 Feb 2000 00:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994\u{0}08:49:37 GMT", "Sun, 06 N\u{F6}v 994 08:49:37 GMT",
    ]) func `what is no IMF-fixdate, or no date, is not read`(_ text: String)
  {
    #expect(read(text) == nil)
  }

  private func read(_ text: String) -> Int64? { Int64(httpDate: Array(text.utf8).span) }
}
