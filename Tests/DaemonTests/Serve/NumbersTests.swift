import Testing

@testable import Daemon

@Test func `a duration is counted in the first bucket that holds it`() {
  for (index, bound) in RouteNumbers.bounds.enumerated() {
    var numbers = RouteNumbers()
    numbers.took(bound)
    numbers.took(bound + 1)
    #expect(numbers.buckets[index] == 1)
    #expect(numbers.buckets[index + 1] == 1)
    #expect(numbers.microseconds == 2 * bound + 1)
  }
  var numbers = RouteNumbers()
  numbers.took(0)
  #expect(numbers.buckets.first == 1)
  #expect(RouteNumbers.bounds == RouteNumbers.bounds.sorted())
}

@Test func `what loops have counted adds up, name by name`() {
  var one = RouteNumbers()
  one.statuses[2] = 3
  one.problems = ["overloaded": 1, "misdirected": 2]
  one.took(700)
  (one.bytesIn, one.bytesOut, one.dialled, one.resumed, one.reused, one.retried, one.idle) = (1, 2, 3, 4, 5, 6, 7)
  var both = one
  both.problems["body_too_large"] = 5
  both.add(one)
  #expect(both.statuses == [0, 0, 6, 0, 0, 0])
  #expect(both.problems == ["overloaded": 2, "misdirected": 4, "body_too_large": 5])
  #expect(both.buckets[1] == 2)
  #expect(both.microseconds == 1400)
  #expect(
    [both.bytesIn, both.bytesOut, both.dialled, both.resumed, both.reused, both.retried, both.idle]
      == [2, 4, 6, 8, 10, 12, 14])
}
