import Broker
import Crypto
import Net

/// Whether upstreams can be reached: name, TCP, and a TLS handshake with the certificate checked. No request is sent.
enum Connectivity {
  /// Tries all at once.
  /// - Parameter names: of routes.
  /// - Returns: what failed, by route.
  static func check(_ names: [String], _ deployment: Deployment) throws(CommandError) -> [String: String] {
    let loop: Loop
    do throws(SystemError) {
      loop = try Loop()
    } catch {
      throw CommandError(CommandError.Status.unavailable, error.description)
    }
    let resolver = Resolver()
    let results = Results(loop)
    var dialers: [Dialer] = []
    for (route, tls) in zip(deployment.snapshot.routes, deployment.tls) where names.contains(route.name) {
      do throws(TLSError) {
        let context = route.upstream.isTLS ? try TLSContext(tls.settings, key: tls.key?.span) : nil
        let destination = Destination(
          host: route.upstream.host, port: route.upstream.port, tls: context, session: TLSSession())
        let dialer = Dialer(destination, loop: loop) { results.add(route.name, $0) }
        results.waiting += 1
        dialer.start(resolver, timeout: route.timeouts.connect)
        dialers.append(dialer)
      } catch {
        results.failures[route.name] = error.description
      }
    }
    if results.waiting > 0 { loop.run() }
    withExtendedLifetime(dialers) {}
    return results.failures
  }

  private final class Results {
    var failures: [String: String] = [:]
    var waiting = 0
    private let loop: Loop

    init(_ loop: Loop) { self.loop = loop }

    func add(_ route: String, _ outcome: consuming Dialer.Outcome) {
      switch consume outcome {
      case .connected(let stream, let token, _):
        loop.forget(token)
        _ = consume stream
      case .failed(let error): failures[route] = Results.text(error)
      }
      waiting -= 1
      if waiting == 0 { loop.stop() }
    }

    private static func text(_ error: DialError) -> String {
      switch error {
      case .unresolved(let reason): "the name cannot be resolved: \(reason)"
      case .forbiddenAddress: "the name leads to addresses that no upstream has"
      case .unreachable(let reason): "cannot be reached: \(reason)"
      case .tls(let reason): "TLS: \(reason)"
      case .timeout: "no answer in time"
      }
    }
  }
}
