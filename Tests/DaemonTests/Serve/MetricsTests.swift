import Bytes
import HTTP
import Testing

@testable import Daemon
@testable import Net

/// A line of the text format, as a scraper reads it.
private struct Sample {
  var name: String
  var labels: [String: String]
  var value: Double

  init?(_ line: Substring) {
    guard let blank = line.lastIndex(of: " "), let value = Double(line[line.index(after: blank)...]) else { return nil }
    self.value = value
    var series = line[..<blank]
    labels = [:]
    if let brace = series.firstIndex(of: "{") {
      guard series.last == "}" else { return nil }
      for label in series[series.index(after: brace)...].dropLast().split(separator: ",") {
        let parts = label.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[1].first == "\"", parts[1].last == "\"", parts[1].count >= 2,
          parts[0].allSatisfy({ $0.isLetter || $0 == "_" }), labels[String(parts[0])] == nil
        else { return nil }
        let text = parts[1].dropFirst().dropLast()
        guard !text.contains(where: { "\"\\\n".contains($0) }) else { return nil }
        labels[String(parts[0])] = String(text)
      }
      series = series[..<brace]
    }
    guard !series.isEmpty, series.utf8.allSatisfy({ $0 == 0x5F || 0x61...0x7A ~= $0 }) else { return nil }
    name = String(series)
  }
}

/// Reads a whole exposition, and holds it to the rules of the format on the way.
private func samples(_ text: String) -> [Sample] {
  #expect(text.hasSuffix("\n"))
  var samples: [Sample] = []
  var types: [String: String] = [:]
  var current = ""
  var seen: Set<String> = []
  for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
    let words = line.split(separator: " ", maxSplits: 3)
    if line.hasPrefix("# HELP ") {
      #expect(words.count == 4)
      continue
    }
    if line.hasPrefix("# TYPE ") {
      current = String(words[2])
      #expect(types.updateValue(String(words[3]), forKey: current) == nil, "\(current) twice")
      #expect(["counter", "gauge", "histogram"].contains(words[3]))
      continue
    }
    guard let sample = Sample(line) else {
      Issue.record("no sample: \(line)")
      continue
    }
    let suffixes = types[current] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
    #expect(suffixes.contains { current + $0 == sample.name }, "\(sample.name) is not under its own type")
    #expect(seen.insert(String(line[..<(line.lastIndex(of: " ") ?? line.endIndex)])).inserted, "twice: \(line)")
    if types[current] == "counter" { #expect(current.hasSuffix("_total")) }
    samples.append(sample)
  }
  checkHistograms(samples)
  return samples
}

private func checkHistograms(_ samples: [Sample]) {
  let name = "chatelaine_exchange_duration_seconds"
  for count in samples where count.name == name + "_count" {
    let buckets = samples.filter { $0.name == name + "_bucket" && $0.labels["route"] == count.labels["route"] }
    #expect(buckets.count == RouteNumbers.bounds.count + 1)
    #expect(buckets.map(\.value) == buckets.map(\.value).sorted(), "a histogram never falls")
    let bounds = buckets.compactMap { Double($0.labels["le"]?.replacing("+Inf", with: "inf") ?? "") }
    #expect(bounds.count == buckets.count && bounds == bounds.sorted())
    #expect(bounds.last == .infinity)
    #expect(buckets.last?.value == count.value)
    #expect(samples.count { $0.name == name + "_sum" && $0.labels["route"] == count.labels["route"] } == 1)
  }
}

@Test func `the text is valid for whatever was counted`() throws {
  let bed = try Bed(try Upstream.answering("HTTP/1.1 204 No Content\r\n\r\n"))
  var generator = SystemRandomNumberGenerator()
  for round in 0..<50 {
    var all: LoopNumbers = [:]
    for name in ["", "codegate", "a-b_c9"].prefix(round % 4) {
      var numbers = RouteNumbers()
      for index in numbers.statuses.indices { numbers.statuses[index] = .random(in: 0...3, using: &generator) }
      for _ in 0..<Int.random(in: 0...20) { numbers.took(.random(in: 0...20_000_000)) }
      if round % 2 == 0 { numbers.problems = ["overloaded": 3, "misdirected": 1] }
      numbers.bytesOut = .max
      all[name] = numbers
    }
    var text = Buffer()
    Metrics.append(all, crew: bed.crew, to: &text)
    let samples = samples(String(text.span))
    #expect(samples.first { $0.name == "process_resident_memory_bytes" }?.value ?? 0 > 1_000_000)
    #expect(samples.first { $0.name == "chatelaine_build_info" }?.labels["version"] == Version.number)
  }
}

@Test func `the numbers of all loops are told on request, to whoever calls`() throws {
  let upstream = try Upstream { request in
    [.send("HTTP/1.1 \(request.target.dropFirst()) X\r\nContent-Length: 0\r\n\r\n")]
  }
  let bed = try Bed(upstream)
  for loop in 0..<2 {
    let client = try bed.connect(loop: loop)
    for status in [200, 200, 404, 503] { #expect(client.ask(request("GET", "/\(status)")).status == status) }
    #expect(client.ask("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404)
  }
  let answer = try bed.ask("GET /-/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", loop: 1)
  #expect(answer.status == 200)
  #expect(answer.field("content-type") == "text/plain; version=0.0.4; charset=utf-8")
  let samples = samples(answer.text)
  func value(_ name: String, _ labels: [String: String]) -> Double? {
    samples.first { $0.name == name && $0.labels == labels }?.value
  }
  #expect(value("chatelaine_exchanges_total", ["route": "r", "status": "2xx"]) == 4)
  #expect(value("chatelaine_exchanges_total", ["route": "r", "status": "4xx"]) == 2)
  #expect(value("chatelaine_exchanges_total", ["route": "r", "status": "5xx"]) == 2)
  #expect(value("chatelaine_exchanges_total", ["route": "", "status": "4xx"]) == 2)
  #expect(value("chatelaine_problems_total", ["route": "", "code": "unknown_route"]) == 2)
  #expect(value("chatelaine_exchange_duration_seconds_count", ["route": "r"]) == 8)
  #expect(value("chatelaine_upstream_connections_total", ["route": "r"]) == 2)
  #expect(value("chatelaine_upstream_reused_total", ["route": "r"]) == 6)
  #expect(value("chatelaine_upstream_idle_connections", ["route": "r"]) == 2)
}
