import Testing

@testable import Broker

@Test
func `an endpoint that is down is asked after 1 s and more, up to twice as long each time, and 5 minutes at most`() {
  for failures in 1...40 {
    let ceiling = Int64(min(1000 << min(failures, 20), 300_000))
    let pauses = [0, 1, 999, 12_345_678, .max].map {
      TokenPause.backOff(failures: failures, retryAfter: nil, jitter: $0)
    }
    #expect(pauses.allSatisfy { 1000...ceiling ~= $0 }, "\(failures)")
    #expect(pauses[0] == 1000)
    #expect(TokenPause.backOff(failures: failures, retryAfter: nil, jitter: UInt64(ceiling - 1000)) == ceiling)
  }
}

@Test func `it is not asked before it wants to be, as far as an hour`() {
  for (retryAfter, least) in [(-5, 1000), (0, 1000), (7, 7000), (900, 900_000), (3601, 3_600_000), (.max, 3_600_000)] {
    #expect(TokenPause.backOff(failures: 1, retryAfter: retryAfter, jitter: 0) == Int64(least))
  }
}

@Test func `a refusal is remembered for 10 s, 20 s and so on, and 5 minutes at most`() {
  #expect((1...7).map(TokenPause.refusal) == [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])
  #expect(TokenPause.refusal(.max) == 300_000)
}
