import Net

/// A serial executor on a thread of its own: SQLite and scrypt block, so they do it where nobody else waits.
final class ThreadExecutor: SerialExecutor, TaskExecutor {
  private struct Queue {
    var jobs: [UnownedJob] = []
  }

  private let queue = Lock(Queue())

  init(_ name: StaticString) throws(SystemError) {
    let queue = self.queue
    let own = Unowned(self)
    try Thread.start(name) {
      while true {
        let jobs = queue.wait { queue -> [UnownedJob]? in
          guard !queue.jobs.isEmpty else { return nil }
          defer { queue.jobs = [] }
          return queue.jobs
        }
        for job in jobs {
          unsafe job.runSynchronously(
            isolatedTo: own.executor.asUnownedSerialExecutor(), taskExecutor: own.executor.asUnownedTaskExecutor())
        }
      }
    }
  }

  /// The executor lives as long as the process, and its thread with it.
  private struct Unowned: Sendable {
    unowned let executor: ThreadExecutor
    init(_ executor: ThreadExecutor) { self.executor = executor }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.signal { $0.jobs.append(job) }
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }
  func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }
}
