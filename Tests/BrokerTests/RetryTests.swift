import Broker
import HTTP
import Testing

private let methods: [Method] = [.get, .head, .post, .put, .patch, .delete, .options, .other]

private func first(
  _ failure: Retry.Failure, _ method: Method, retries: Int = 2, isOneTime: Bool = false, intact: Bool = true
) -> UInt64? {
  var retry = Retry(method: method, retries: retries, isOneTime: isOneTime)
  return retry.next(after: failure, bodyIsIntact: intact)
}

@Test func `row 134: where nothing was written, anything is sent once more`() {
  for method in methods {
    for isOneTime in [true, false] {
      #expect(first(.connecting, method, retries: 0, isOneTime: isOneTime) == 0)
      #expect(first(.stale(written: 0), method, retries: 0, isOneTime: isOneTime) == 0)
    }
  }
}

@Test func `row 134: once a byte was written, GET and HEAD are, unless the signature holds for one use`() {
  for method in methods {
    #expect(first(.stale(written: 1), method) == (method == .get || method == .head ? 0 : nil), "\(method)")
    #expect(first(.stale(written: 1), method, isOneTime: true) == nil)
  }
}

@Test func `row 134: at most once, whatever the failures`() {
  for (one, two) in [
    (Retry.Failure.connecting, Retry.Failure.stale(written: 5)), (.stale(written: 0), .connecting),
    (.connecting, .connecting),
  ] {
    var retry = Retry(method: .get, retries: 5, isOneTime: false)
    #expect(retry.next(after: one, bodyIsIntact: true) == 0)
    #expect(retry.next(after: two, bodyIsIntact: true) == nil)
  }
}

@Test func `502, 503 and 504 are tried again as often as the route says, after longer and longer pauses`() {
  for method in methods {
    for status in [502, 503, 504] {
      var retry = Retry(method: method, retries: 3, isOneTime: false)
      let pauses = (0..<4).map { _ in retry.next(after: .status(status), bodyIsIntact: true) }
      #expect(pauses == (method.isIdempotent ? [100, 200, 400, nil] : [nil, nil, nil, nil]), "\(method)")
    }
  }
  for status in [200, 400, 429, 500, 501, 505] { #expect(first(.status(status), .get) == nil) }
  #expect(first(.status(503), .get, retries: 0) == nil)
  #expect(first(.status(503), .get, isOneTime: true) == nil)
}

@Test func `nothing is tried again without its body`() {
  for failure in [Retry.Failure.connecting, .stale(written: 0), .stale(written: 9), .status(503)] {
    #expect(first(failure, .put, intact: false) == nil)
    #expect(first(failure, .get, intact: false) == nil)
  }
}

@Test func `a pause does not grow without end`() {
  var retry = Retry(method: .get, retries: 100, isOneTime: false)
  let pauses = (0..<100).compactMap { _ in retry.next(after: .status(503), bodyIsIntact: true) }
  #expect(pauses.count == 100 && pauses.max() == 3200)
}
