import Testing

@testable import Broker

/// Both clocks some seconds into the test; the wall clock may be off.
private func at(_ seconds: Int64, wallIsOffBy offset: Int64 = 0) -> Moment {
  Moment(wall: (1_800_000_000 + seconds + offset) * 1000, uptime: (5000 + seconds) * 1000)
}

private let start: Int64 = 1_800_000_000

@Test func `something ends when both clocks agree that it does`() {
  let deadline = Deadline(start + 100, since: start, now: at(0))
  #expect(!deadline.isPast(at(99)))
  #expect(deadline.isPast(at(100)))
  #expect(deadline == Deadline(start + 100, since: start, now: at(60)), "whenever it is read")
}

@Test func `a part of a second that has passed is not given back`() {
  let deadline = Deadline(start + 1, since: start, now: Moment(wall: start * 1000 + 900, uptime: 7000))
  #expect(deadline.wall == (start + 1) * 1000 && deadline.uptime == 7100)
}

@Test(arguments: [1, 100, 86_400 * 365] as [Int64]) func `a wall clock that is set back brings nothing back`(
  _ by: Int64
) {
  let deadline = Deadline(start + 100, since: start, now: at(0))
  #expect(deadline.isPast(at(100, wallIsOffBy: -by)))
  #expect(deadline.isPast(at(5000, wallIsOffBy: -by)))
  #expect(!deadline.isPast(at(99, wallIsOffBy: -by)))
}

@Test func `a wall clock that is set forward ends it early`() {
  let deadline = Deadline(start + 100, since: start, now: at(0))
  #expect(deadline.isPast(at(10, wallIsOffBy: 90)))
  #expect(!deadline.isPast(at(10, wallIsOffBy: 89)))
}

@Test func `read again after the wall clock was set back, it lasts no longer than it did from the start`() {
  let deadline = Deadline(start + 100, since: start, now: at(50, wallIsOffBy: -86_400))
  #expect(!deadline.isPast(at(149, wallIsOffBy: -86_400)))
  #expect(deadline.isPast(at(150, wallIsOffBy: -86_400)))
}

@Test func `what has ended, or never began, has ended`() {
  for (end, since) in [(start, start), (start - 1, start - 50), (start + 10, start + 20), (.min, .max), (0, .max)] {
    #expect(Deadline(end, since: since, now: at(0)).isPast(at(0)), "\(end) \(since)")
  }
}

@Test func `what lasts longer than ten years lasts ten, without overflowing`() {
  let tenYears: Int64 = 315_360_000
  for (end, since) in [(Int64.max, start), (.max, .min), (start + 10 * tenYears, start)] {
    let deadline = Deadline(end, since: since, now: at(0))
    #expect(!deadline.isPast(at(tenYears - 1)))
    #expect(deadline.isPast(at(tenYears)))
  }
}

@Test func `an earlier one is earlier on both clocks`() {
  let deadline = Deadline(start + 100, since: start, now: at(0)).earlier(by: 60_000)
  #expect(!deadline.isPast(at(39)) && deadline.isPast(at(40)))
  #expect(deadline.isPast(at(40, wallIsOffBy: -500)) && deadline.isPast(at(0, wallIsOffBy: 40)))
}
