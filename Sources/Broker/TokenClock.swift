/// One moment on two clocks. The system may set the first to anything at any time; the second only ever runs forward,
/// through suspended time as well.
public struct Moment: Sendable, Equatable {
  /// Milliseconds since 1970, UTC.
  public var wall: Int64
  /// Milliseconds since boot, suspended time included.
  public var uptime: Int64

  public init(wall: Int64, uptime: Int64) {
    self.wall = wall
    self.uptime = uptime
  }

  /// Seconds since 1970, UTC.
  public var seconds: Int64 { wall / 1000 }
}

/// When something ends, on both clocks: it has ended as soon as either says so. A wall clock that is set back brings
/// nothing back, one that is set forward ends it early.
public struct Deadline: Sendable, Equatable {
  /// Milliseconds since 1970, UTC.
  public private(set) var wall: Int64
  /// Milliseconds since boot.
  public private(set) var uptime: Int64

  /// What lasts longer is taken to last ten years.
  private static let longest: Int64 = 315_360_000

  /// - Parameters:
  ///   - end: seconds since 1970, UTC.
  ///   - start: since when; it never lasts longer than from then, whatever the clock says now.
  public init(_ end: Int64, since start: Int64, now: Moment) {
    // What has passed of this second is gone.
    let left = min(Deadline.life(end, since: now.seconds) - now.wall % 1000, Deadline.life(end, since: start))
    wall = now.wall + left
    uptime = now.uptime + left
  }

  /// Milliseconds from `start` to `end`, which are seconds; 0 to ten years of them.
  static func life(_ end: Int64, since start: Int64) -> Int64 {
    guard end > start else { return 0 }
    let (seconds, overflow) = end.subtractingReportingOverflow(start)
    return (overflow ? longest : min(seconds, longest)) * 1000
  }

  public func isPast(_ now: Moment) -> Bool { now.wall >= wall || now.uptime >= uptime }

  /// - Parameter milliseconds: not negative.
  public func earlier(by milliseconds: Int64) -> Deadline {
    var deadline = self
    deadline.wall -= milliseconds
    deadline.uptime -= milliseconds
    return deadline
  }
}
