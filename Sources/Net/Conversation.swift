/// Whether a loop has one client that asks one thing after another, and whether what is awaited of it or of its upstream comes
/// soon enough to stay awake for.
///
/// Of many clients one or another has something to do soon, and sleeping until then costs nobody time. One client's events are
/// those of two registrations, its own and its upstream's, and they are more than all others together: each of theirs counts
/// one up and each other one down, and at nothing the last that came take the place (Boyer and Moore's vote).
///
/// What follows an event of the one is awaited for another time than what follows an event of the other, the upstream's answer
/// and the client's next question. So each is judged by how it came before:
///
///     asleep ─ it came soon ─▶ awake ─ it came in time ─▶ awake
///       ▲                        └─ it did not ─▶ asleep for twice as many waits as the last time
///
/// Waking is worth most where it is slowest, and staying awake costs as much everywhere. Where it does not help, with an upstream
/// that answers a little too late, one wait of 65 is spent awake in vain.
struct Conversation {
  /// Microseconds to stay awake for.
  static let longest: UInt64 = 200
  /// The longest wait asleep, in microseconds, behind which something may have come within `longest`: the rest was waking.
  static let soon: UInt64 = 400
  /// Votes from which on it is one client, and the most that are counted.
  private static let fewVotes = 4
  private static let mostVotes = 16

  private struct Habit {
    var comesSoon = false
    /// Waits to sleep through.
    var pause = 0
    var failures = 0
  }

  private var pair: (UInt64, UInt64) = (.max, .max)
  private var votes = 0
  /// By which of the pair spoke last.
  private var habits: InlineArray<2, Habit> = [Habit(), Habit()]
  private var last = 0

  /// There is one client, more or less.
  var isClear: Bool { votes >= Conversation.fewVotes }

  var isAwaitedSoon: Bool { habits[last].comesSoon && habits[last].pause == 0 }

  /// An event came.
  /// - Parameter word: of its registration.
  mutating func heard(_ word: UInt64) {
    if word == pair.0 || word == pair.1 {
      if votes < Conversation.mostVotes { votes &+= 1 }
      last = word == pair.0 ? 0 : 1
    } else if votes > 0 {
      votes &-= 1
    } else {
      pair = (pair.1, word)
      habits = [Habit(), Habit()]
      last = 1
    }
  }

  /// A wait is over.
  /// - Parameters:
  ///   - time: microseconds.
  ///   - awake: it was spent awake, at least at first.
  mutating func waited(_ time: UInt64, awake: Bool) {
    var habit = habits[last]
    if awake, time <= Conversation.longest {
      habit.failures = 0
    } else {
      habit.comesSoon = time <= Conversation.soon
      if awake {
        habit.failures = min(habit.failures + 1, 6)
        habit.pause = 1 << habit.failures
      } else if habit.pause > 0 {
        habit.pause -= 1
      }
    }
    habits[last] = habit
  }
}
