import Bytes
import Config
import Glibc
import JSON
import Net

/// What `chatelaine status` shows.
enum Status {
  static func json(_ setup: Setup, _ numbers: LoopNumbers, crew: Crew, agents: AgentDesk) -> [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("version", Version.number)
    text.appendMember("pid", getpid())
    text.appendMember("started", crew.started / 1000)
    text.appendMember("config", setup.path)
    text.appendMember("store", setup.configuration.store.path)
    text.appendMember("connections", crew.budget.total)
    text.appendMember("loops", crew.workers.count)
    text.appendKey("listen")
    text.appendArrayStart()
    for address in crew.addresses { text.appendJSON(address) }
    text.appendArrayEnd()
    text.appendKey("routes")
    text.appendArrayStart()
    for route in setup.configuration.routes { append(route, numbers[route.name] ?? RouteNumbers(), agents, to: &text) }
    text.appendArrayEnd()
    text.appendObjectEnd()
    return Array(text.span)
  }

  private static func append(
    _ route: RouteConfiguration, _ numbers: RouteNumbers, _ agents: AgentDesk, to text: inout Buffer
  ) {
    text.appendObjectStart()
    text.appendMember("name", route.name)
    text.appendMember("connector", route.connector)
    text.appendMember("upstream", "\(route.upstream)")
    text.appendMember("exchanges", numbers.statuses.reduce(0, +))
    text.appendMember("problems", numbers.problems.values.reduce(0, +))
    text.appendMember("idle_connections", numbers.idle)
    agents.append(statusOf: route.name, to: &text)
    text.appendObjectEnd()
  }
}
