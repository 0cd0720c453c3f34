import JSON

/// Whether an authority leads to one route only, and no route leads back to the daemon.
struct AuthorityCheck {
  let report: Report

  init(_ report: Report) {
    self.report = report
  }

  func run(_ outcomes: [RouteReader.Outcome], _ bound: [ListenAddress]) {
    var owners: [Authority: String] = [:]
    for outcome in outcomes {
      let route = outcome.route
      for address in bound where leads(route.upstream, to: address) {
        report.error("\(route.upstream.authority) is this daemon's own listener", at: outcome.upstream)
      }
      for (host, value) in zip(route.hosts, outcome.hosts) {
        if host.isLoopback, bound.contains(where: { isPort(of: $0, host.port) }) {
          report.error("\(host) is this daemon's own listener", at: value)
        }
        let other = outcomes.first { $0.route.name != route.name && isSame(host, $0.route.upstream) }
        if let owner = owners[host] ?? other?.route.name {
          report.error("\(host) already means route \"\(owner)\"", at: value)
        } else {
          owners[host] = route.name
        }
      }
    }
  }

  private func isSame(_ host: Authority, _ upstream: Upstream) -> Bool {
    host.host == upstream.host && host.port ?? upstream.scheme.defaultPort == upstream.port
  }

  private func isPort(of listener: ListenAddress, _ port: UInt16?) -> Bool {
    if case .tcp(_, let own) = listener { own == port } else { false }
  }

  private func leads(_ upstream: Upstream, to listener: ListenAddress) -> Bool {
    guard case .tcp(let address, let port) = listener, port == upstream.port, port != 0 else { return false }
    switch upstream.host {
    case .address(let other): return other == address
    case .name: return upstream.isLoopback && address.isLoopback
    }
  }
}
