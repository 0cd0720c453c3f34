import Bytes
import Glibc
import Net

/// The text that Prometheus reads. Label values are route names, codes and digits: nothing that needs escaping.
enum Metrics {
  static func append(_ numbers: LoopNumbers, crew: Crew, to text: inout Buffer) {
    head("chatelaine_build_info", "gauge", "The version that runs.", &text)
    text.append("chatelaine_build_info{version=\"\(Version.number)\"} 1\n")
    head("process_start_time_seconds", "gauge", "Start of the process in seconds since 1970.", &text)
    text.append("process_start_time_seconds \(crew.started / 1000)\n")
    head("process_resident_memory_bytes", "gauge", "Resident memory.", &text)
    text.append("process_resident_memory_bytes \(residentMemory())\n")
    head("chatelaine_client_connections", "gauge", "Client connections that are open.", &text)
    text.append("chatelaine_client_connections \(crew.budget.total)\n")
    let reloads = crew.reloads
    head("chatelaine_config_reloads_total", "counter", "Reloads of the configuration.", &text)
    text.append("chatelaine_config_reloads_total{result=\"done\"} \(reloads.done)\n")
    text.append("chatelaine_config_reloads_total{result=\"refused\"} \(reloads.refused)\n")
    let routes = numbers.sorted { $0.key < $1.key }
    appendExchanges(routes, &text)
    appendUpstreams(routes, &text)
    crew.tokens.withLock { $0 }.append(to: &text)
  }

  private typealias Routes = [(key: String, value: RouteNumbers)]

  private static func appendExchanges(_ routes: Routes, _ text: inout Buffer) {
    head("chatelaine_exchanges_total", "counter", "Exchanges by route and class of status.", &text)
    for (name, numbers) in routes {
      for (digit, count) in numbers.statuses.enumerated() where count > 0 {
        text.append(
          "chatelaine_exchanges_total{route=\"\(name)\",status=\"\(digit == 0 ? "none" : "\(digit)xx")\"} \(count)\n")
      }
    }
    head("chatelaine_problems_total", "counter", "Answers of our own that were errors, by code.", &text)
    for (name, numbers) in routes {
      for (code, count) in numbers.problems.sorted(by: { $0.key < $1.key }) {
        text.append("chatelaine_problems_total{route=\"\(name)\",code=\"\(code)\"} \(count)\n")
      }
    }
    head(
      "chatelaine_exchange_duration_seconds", "histogram", "From a request's first byte to its response's last.", &text)
    for (name, numbers) in routes where numbers.buckets.contains(where: { $0 > 0 }) {
      var sum: UInt64 = 0
      for (index, count) in numbers.buckets.enumerated() {
        sum += count
        let bound = index < RouteNumbers.bounds.count ? seconds(RouteNumbers.bounds[index]) : "+Inf"
        text.append("chatelaine_exchange_duration_seconds_bucket{route=\"\(name)\",le=\"\(bound)\"} \(sum)\n")
      }
      text.append("chatelaine_exchange_duration_seconds_sum{route=\"\(name)\"} \(seconds(numbers.microseconds))\n")
      text.append("chatelaine_exchange_duration_seconds_count{route=\"\(name)\"} \(sum)\n")
    }
  }

  private static func appendUpstreams(_ routes: Routes, _ text: inout Buffer) {
    counter("chatelaine_request_body_bytes_total", "Bytes of request bodies.", routes, \.bytesIn, &text)
    counter("chatelaine_response_bytes_total", "Bytes sent to clients, heads included.", routes, \.bytesOut, &text)
    counter("chatelaine_upstream_connections_total", "Connections made to upstreams.", routes, \.dialled, &text)
    counter("chatelaine_upstream_resumed_total", "Of these, with a resumed TLS session.", routes, \.resumed, &text)
    counter("chatelaine_upstream_reused_total", "Exchanges on a connection that was kept.", routes, \.reused, &text)
    counter("chatelaine_upstream_retries_total", "Requests that were sent again.", routes, \.retried, &text)
    head("chatelaine_upstream_idle_connections", "gauge", "Upstream connections that wait to be used again.", &text)
    for (name, numbers) in routes where !name.isEmpty {
      text.append("chatelaine_upstream_idle_connections{route=\"\(name)\"} \(numbers.idle)\n")
    }
  }

  private static func counter(
    _ name: String, _ help: String, _ routes: Routes, _ value: KeyPath<RouteNumbers, UInt64>, _ text: inout Buffer
  ) {
    head(name, "counter", help, &text)
    for (route, numbers) in routes where !route.isEmpty {
      text.append("\(name){route=\"\(route)\"} \(numbers[keyPath: value])\n")
    }
  }

  private static func head(_ name: String, _ type: String, _ help: String, _ text: inout Buffer) {
    text.append("# HELP \(name) \(help)\n# TYPE \(name) \(type)\n")
  }

  /// Microseconds as seconds, without an exponent.
  private static func seconds(_ microseconds: UInt64) -> String {
    var fraction = String(microseconds % 1_000_000)
    fraction = String(repeating: "0", count: 6 - fraction.count) + fraction
    while fraction.last == "0" { fraction.removeLast() }
    return fraction.isEmpty ? "\(microseconds / 1_000_000)" : "\(microseconds / 1_000_000).\(fraction)"
  }

  /// Resident bytes, from the second number of `/proc/self/statm`.
  private static func residentMemory() -> Int {
    let words = (File.readSystem("/proc/self/statm") ?? "").split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }
}
