import Glibc
import Testing

@testable import Daemon

private actor Ledger {
  private let executor: ThreadExecutor
  private(set) var entries: [Int] = []
  private(set) var threads: Set<UInt> = []

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  init(_ executor: ThreadExecutor) { self.executor = executor }

  func enter(_ number: Int) {
    entries.append(number)
    threads.insert(UInt(pthread_self()))
  }
}

@Test func `an actor on it runs one thing at a time, on a thread that is nobody else's`() async throws {
  let ledger = Ledger(try ThreadExecutor("test"))
  await withTaskGroup(of: Void.self) { group in
    for number in 0..<1000 { group.addTask { await ledger.enter(number) } }
  }
  #expect(await ledger.entries.sorted() == Array(0..<1000))
  #expect(await ledger.threads.count == 1)
  let others = await withTaskGroup(of: UInt.self) { group in
    for _ in 0..<50 { group.addTask { UInt(pthread_self()) } }
    return await group.reduce(into: Set()) { $0.insert($1) }
  }
  #expect(await ledger.threads.isDisjoint(with: others))
}

@Test func `a task that prefers it runs there, in the order in which it was given`() async throws {
  let executor = try ThreadExecutor("test")
  let ledger = Ledger(executor)
  for number in 0..<100 { await ledger.enter(number) }
  #expect(await ledger.entries == Array(0..<100))
  let thread = await Task(executorPreference: executor) { UInt(pthread_self()) }.value
  #expect(await ledger.threads == [thread])
}
