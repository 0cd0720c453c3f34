import Bytes
import Connector
import Crypto
import HTTP
import JSON

/// An even first byte: the rest is a connector's file. An odd one: it is the text of a value and a header in one.
func fuzzConnector(_ data: [UInt8]) {
  guard let choice = data.first else { return }
  let source = choice & 1 == 0 ? Array(data.dropFirst()) : file(around: Array(data.dropFirst()))
  let (connector, diagnostics) = Connector.compile(source: source, file: "f.jsonc")
  for diagnostic in diagnostics {
    require(diagnostic.position.offset <= source.count && !diagnostic.rendered.isEmpty, "\(diagnostic)")
  }
  require((connector == nil) == diagnostics.contains { $0.severity == .error }, "\(shown(source))")
  if let connector { work(connector, source) }
}

private func file(around expression: [UInt8]) -> [UInt8] {
  var out = Buffer()
  out.append(
    #"{"connector":"f","title":"f","secrets":{"a":{"about":"a"}},"options":{"o":{"about":"o","default":"d"}},"values":{"v":"#
  )
  out.appendJSON(expression.span)
  out.append(#"},"set":{"headers":{"X-V":"${v}","X-F":"#)
  out.append(UInt8(ascii: " "))
  out.appendJSON(expression.span)
  out.append("}}}")
  return Array(out.span)
}

/// It signs the same way twice, with values that a header can carry, and explains itself without a secret.
private func work(_ connector: Connector, _ source: [UInt8]) {
  let secret = Array(Sample.canary.utf8)
  let secrets = Dictionary(connector.secrets.map { ($0.name, Secret(copying: secret.span)) }) { first, _ in first }
  let options = Dictionary(connector.options.map { ($0.name, $0.defaultValue ?? "X-Opt") }) { first, _ in first }
  guard let signer = try? Signer(connector: connector, secrets: secrets, options: options, route: "f") else { return }
  let block = Array("POST/a/b%20c?x=1&y=a+b&x=%C3%A9".utf8)
  let fields = Array("v1".utf8)
  let body = Array(#"{"a":{"b":["c",1]},"d":null}"#.utf8)
  let (host, subject) = (Array("api.example.com".utf8), Array("alice".utf8))
  let request = ConnectorRequest(
    block: block.span, method: 0..<4, path: 4..<12, query: 13..<block.count, fields: fields.span,
    headers: connector.readHeaders.enumerated().map { $0.offset % 2 == 0 ? 0..<2 : nil }, host: host.span,
    body: body.span, subject: subject.span)
  let time = RequestTime(seconds: 1_767_225_600, milliseconds: 7)
  var first: [[UInt8]]?
  for _ in 0..<2 {
    var patch = Patch()
    do {
      try signer.evaluate(request, time: time, entropy: RequestEntropy(nonce: 1, uuid: 2), into: &patch)
    } catch {
      require(first == nil, "the second time differs: \(shown(source))")
      break
    }
    var parts: [[UInt8]] = []
    for header in patch.headers {
      let value = patch.bytes.extracting(header.value)
      require(isFieldValue(value), "\(shown(source)) makes a header \(shown(Array(value)))")
      parts.append(signer.targets.headers[header.name].bytes + [0x3A] + Array(value))
    }
    for header in signer.targets.headers { require(Plain.isToken(header.bytes), "the name \(header.text)") }
    if let query = patch.query { parts.append(Array(patch.bytes.extracting(query))) }
    if let body = patch.body { parts.append(Array(patch.bytes.extracting(body))) }
    require(first == nil || first == parts, "the second time differs: \(shown(source))")
    first = parts
  }
  for step in signer.explain(request, time: time, entropy: RequestEntropy(nonce: 1, uuid: 2)).steps {
    require(!(step.shown ?? "").contains(Sample.canary), "\(shown(source)) shows a secret: \(step)")
  }
}
