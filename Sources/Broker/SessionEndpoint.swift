internal import Bytes
internal import Connector
internal import HTTP

/// What is asked of the sessions of a route whose users log in, under `/-/oauth/<route>/`.
public struct SessionEndpoint: Sendable, Equatable {
  public enum Action: Sendable, Equatable {
    /// `POST authorize`: where the user has to go.
    case authorize
    /// `GET callback`: where the user's browser comes back to.
    case callback
    /// `POST exchange`: the same, from an application that the browser came back to.
    case exchange
    /// `GET sessions`: who is logged in.
    case list
    /// `DELETE sessions/<subject>`: the place of the subject in the path, percent-encoded.
    case end(Range<Int>)
  }

  /// The route's name; empty for a return to one where nobody logs in.
  public let route: String
  public let action: Action

  /// Whether a request has content for it. Only then its body is read.
  public var readsBody: Bool { action == .authorize || action == .exchange }

  /// The one method that it takes.
  var method: Method {
    switch action {
    case .authorize, .exchange: .post
    case .callback, .list: .get
    case .end: .delete
    }
  }

  var allow: Problem.StaticMethods {
    switch action {
    case .authorize, .exchange: .posting
    case .callback, .list: .getting
    case .end: .deleting
    }
  }

  static let prefix: StaticString = "/-/oauth/"

  /// - Parameters:
  ///   - path: where the target's path lies in `bytes`; it begins with `prefix`.
  ///   - snapshot: has the routes.
  /// - Returns: nil for a path that means nothing.
  init?(_ bytes: Span<UInt8>, _ path: Range<Int>, _ snapshot: Snapshot) {
    let start = path.lowerBound + SessionEndpoint.prefix.utf8CodeUnitCount
    var end = start
    while end < path.upperBound, bytes[end] != 0x2F { end += 1 }
    guard end < path.upperBound else { return nil }
    let action = bytes.extracting(end + 1..<path.upperBound)
    guard let route = snapshot.route(named: bytes.extracting(start..<end)), route.connector.oauth != nil else {
      guard action.equals("callback") else { return nil }
      (self.route, self.action) = ("", .callback)
      return
    }
    self.route = route.name
    if action.equals("authorize") {
      self.action = .authorize
    } else if action.equals("callback") {
      self.action = .callback
    } else if action.equals("exchange") {
      self.action = .exchange
    } else if action.equals("sessions") {
      self.action = .list
    } else if action.hasPrefix("sessions/"), action.count > 9 {
      self.action = .end(end + 10..<path.upperBound)
    } else {
      return nil
    }
  }
}
