import Config
import HTTP
import JSON

/// The input is a configuration file.
func fuzzConfig(_ data: [UInt8]) {
  let (configuration, diagnostics) = Configuration.read(Source(file: "f", bytes: data)) { _ in Sample.catalog }
  for diagnostic in diagnostics {
    require(diagnostic.position.offset <= data.count && !diagnostic.rendered.isEmpty, "\(diagnostic)")
  }
  require((configuration == nil) == diagnostics.contains { $0.severity == .error }, "\(shown(data))")
  for route in configuration?.routes ?? [] {
    let name = Array(route.name.utf8)
    require(!name.isEmpty && name != [0x2D] && !name.contains { $0 == 0x2F || $0 <= 0x20 || $0 >= 0x7F }, route.name)
    require(Plain.isHost(route.upstream.authority.utf8), "the authority \(route.upstream.authority)")
    let path = Array(route.upstream.basePath.utf8)
    require(
      path.isEmpty || Plain.split(target: path, method: "GET").map { $0.query == nil } == true,
      "the path \(shown(path))")
    for header in route.headers {
      require(Plain.isToken(header.name.utf8), "the header \(header.name)")
      if case .literal(let text) = header.value { require(isFieldValue(Array(text.utf8).span), "the value \(text)") }
    }
  }
}
