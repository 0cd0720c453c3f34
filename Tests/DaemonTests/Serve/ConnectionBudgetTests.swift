import Testing

@testable import Daemon
@testable import Net

@Test func `there is a limit in all and one for each uid, and a place that is given back is free`() {
  let budget = ConnectionBudget()
  let limits = (total: 5, perCaller: 2)
  #expect(budget.take(for: 1, limits: limits))
  #expect(budget.take(for: 1, limits: limits))
  #expect(!budget.take(for: 1, limits: limits))
  #expect(budget.take(for: 2, limits: limits))
  #expect(budget.total == 3)
  budget.giveBack(for: 1)
  #expect(budget.take(for: 1, limits: limits))
  #expect(budget.take(for: 2, limits: limits))
  #expect(budget.take(for: 3, limits: limits))
  #expect(!budget.take(for: 4, limits: limits), "no place at all is left")
  for uid: UInt32 in [1, 1, 2, 2, 3] { budget.giveBack(for: uid) }
  #expect(budget.total == 0)
  #expect(budget.take(for: 1, limits: limits) && budget.take(for: 1, limits: limits))
}

@Test func `those whom the kernel does not name count together only`() {
  let budget = ConnectionBudget()
  for _ in 0..<3 { #expect(budget.take(for: nil, limits: (total: 3, perCaller: 1))) }
  #expect(!budget.take(for: nil, limits: (total: 3, perCaller: 1)))
  budget.giveBack(for: nil)
  #expect(budget.take(for: nil, limits: (total: 3, perCaller: 1)))
}

@Test func `from many threads no place is lost or given twice`() async {
  let budget = ConnectionBudget()
  let most = Lock(0)
  await withTaskGroup(of: Void.self) { group in
    for uid: UInt32 in 0..<8 {
      group.addTask {
        for _ in 0..<1000 where budget.take(for: uid % 3, limits: (total: 4, perCaller: 2)) {
          most.withLock { $0 = max($0, budget.total) }
          budget.giveBack(for: uid % 3)
        }
      }
    }
  }
  #expect(budget.total == 0)
  #expect((1...4).contains(most.withLock { $0 }))
}
