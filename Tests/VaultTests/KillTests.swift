import Crypto
import Glibc
import Testing
@testable import Vault

/// The process is killed (SIGKILL, at a random moment, by a timer) while it writes; whatever it had acknowledged is there.
struct KillTests {
  /// Kills this process after so many microseconds.
  static func arm(microseconds: Int) {
    var event = sigevent()
    event.sigev_notify = Int32(SIGEV_SIGNAL)
    event.sigev_signo = SIGKILL
    var timer: timer_t?
    precondition(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
    var when = itimerspec()
    when.it_value.tv_sec = microseconds / 1_000_000
    when.it_value.tv_nsec = microseconds % 1_000_000 * 1000
    precondition(timer_settime(timer, 0, &when, nil) == 0)
  }

  @Test func `200 writes killed at random points lose no acknowledged secret`() async throws {
    let store = try Store(created: false)
    try MasterKeySource.generateFile(store.keyPath)
    let source = MasterKeySource.file(store.keyPath)
    try Vault.create(path: store.path, key: source.load(credentialsDirectory: nil), now: 1)
    var acknowledged = 0
    var kills = 0
    while acknowledged < 200 {
      let directory = store.directory
      let first = acknowledged + 1
      let delay = Int.random(in: 200...12_000)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = directory as String, first = first as Int, delay = delay as Int] in
        let vault = try Vault.open(
          path: directory + "/store.db", source: .file(directory + "/master.key"), credentialsDirectory: nil)
        let log = open(directory + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        KillTests.arm(microseconds: delay)
        // The tenth write of each round also rotates the master key.
        for number in first... {
          try vault.setSecret("s/\(number % 20)", secret("value \(number)"), now: 1)
          let line = Array("\(number)\n".utf8)
          precondition(write(log, line, line.count) == line.count)
          if number % 10 == 0 {
            let next = MasterKeySource.file(directory + "/master.key")
            guard let new = try next.prepareNext() else { return }
            try vault.rotateMasterKey(to: new.next.load(credentialsDirectory: nil), now: 1)
            try new.adopt(generation: vault.masterKeyGeneration)
          }
        }
      }
      kills += 1
      let lines = String(decoding: store.contents("acknowledged"), as: UTF8.self).split(separator: "\n")
      let before = acknowledged
      acknowledged = lines.last.flatMap { Int($0) } ?? 0
      #expect(acknowledged >= before)
      let vault = try Vault.open(path: store.path, source: source, credentialsDirectory: nil)
      for number in max(1, acknowledged - 19)...max(1, acknowledged) where acknowledged > 0 {
        // The one after the last acknowledged may have been written too; it is then number + 20 in the same place.
        let found = try vault.secret("s/\(number % 20)")?.text
        #expect(found == "value \(number)" || (number == acknowledged - 19 && found == "value \(number + 20)"))
      }
    }
    #expect(kills > 5)
  }
}
