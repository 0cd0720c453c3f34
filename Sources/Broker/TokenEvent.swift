extension TokenMachine {
  public enum Event: Sendable, Equatable {
    /// At the start: this is in the store, and whether its refresh token was refused for good.
    case restored(Grant, wasRefused: Bool = false)
    /// At the start: a request was under way when the process ended. When it began, in seconds since 1970.
    case interrupted(at: Int64)
    /// A waiter, by a number that no other has, wants a token; a newer one than `used`, if that was rejected.
    case want(UInt64, used: Int64?)
    /// Requests took the published token, last at this uptime in milliseconds.
    case used(at: Int64)
    /// The upstream's answer says that this generation is dead.
    case rejected(Int64)
    /// Of the generation that was begun; it is in the store.
    case granted(Grant)
    /// Somebody logged in: this is in the store, in the place of whatever was there.
    case obtained(Grant)
    /// The endpoint says no.
    case refused(generation: Int64)
    /// It does not answer, or not with sense. `retryAfter`: seconds. `isUncertain`: it may have acted on the request.
    case unavailable(generation: Int64, retryAfter: Int?, isUncertain: Bool)
    /// The time of `wakeAt`, or any other.
    case tick
    /// Forgotten by hand.
    case dropped
    /// What tokens were obtained with is other than it was: none of them belongs to it.
    case credentialsChanged
    /// Anything else that token requests are made of has changed: the session stays, what failed may work now.
    case reconfigured(TokenRules)
  }

  public enum Action: Sendable, Equatable {
    /// Journal it, send it, and report `granted` (when it is committed), `refused` or `unavailable` of this generation.
    case begin(Way, generation: Int64)
    /// Requests may carry it from now on.
    case publish(generation: Int64)
    /// No request may carry it from now on.
    case retire(generation: Int64)
    /// They get this generation, which is published.
    case resume([UInt64], generation: Int64)
    case fail([UInt64], TokenFailure)
    /// Uptime in milliseconds; takes the place of the one before.
    case wakeAt(Int64)
    /// Note in the store that this generation's refresh token was refused, and that there is no other way.
    case noteRefusal(generation: Int64)
    /// Remove it from the store, with its journal.
    case forget
  }
}

/// Why somebody who wanted a token has none.
public enum TokenFailure: Error, Sendable, Equatable {
  /// The endpoint is down; it is asked again in so many seconds at the earliest.
  case unavailable(retryAfter: Int)
  /// The endpoint said no.
  case refused
  /// The session is over. `interruptedAt`: it was lost in a request that began then, in seconds since 1970.
  case reauthorizationRequired(interruptedAt: Int64?)
  /// There never was one, and the connector cannot fetch one.
  case notConnected
  /// The token that was rejected has just replaced another: it is the upstream's answer that counts.
  case stands
}
