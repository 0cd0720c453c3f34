import Broker
import Bytes
import Connector
import Crypto
import Net

extension TokenOffice {
  /// Over the connector's file and everything that it is given. Headers and limits of the route are for its callers' requests.
  static func basis(_ route: Route, _ tls: Deployment.TLS, identity: [UInt8]) -> [UInt8] {
    var digest = PartsDigest()
    digest.add(identity.span)
    let definition = route.connector.definition
    digest.add(definition.span)
    digest.add(route.upstream.url)
    digest.add("\(route.timeouts.connect) \(route.timeouts.firstByte)")
    for (name, value) in route.options.sorted(by: { $0.key < $1.key }) {
      for part in ["option", name, value] { digest.add(part) }
    }
    for (name, secret) in route.secrets.sorted(by: { $0.key < $1.key }) {
      for part in ["secret", name] { digest.add(part) }
      digest.add(secret.span)
    }
    for part in ["tls", tls.settings.authorities ?? "", tls.settings.certificate ?? "", "\(tls.settings.verifies)"] {
      digest.add(part)
    }
    if let key = tls.key { digest.add(key.span) }
    if let key = route.agent?.key?.publicKey {
      for coordinate in [key.x, key.y] { digest.add(coordinate.span) }
    }
    return digest.finish()
  }
}

/// A digest over parts, each behind its length: no two lists of parts are alike.
struct PartsDigest {
  private let digest = Digest(.sha256)

  mutating func add(_ part: Span<UInt8>) {
    var length = Buffer()
    length.appendDecimal(part.count)
    length.append(UInt8(ascii: ":"))
    digest.update(length.span)
    digest.update(part)
  }

  mutating func add(_ text: String) { add(Array(text.utf8).span) }

  func finish() -> [UInt8] {
    var bytes = Buffer()
    digest.finish(into: &bytes)
    return Array(bytes.span)
  }
}
