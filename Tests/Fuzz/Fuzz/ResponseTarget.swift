import Broker
import Bytes
import HTTP

/// The first byte says what was asked and how; the rest is what an upstream answers.
func fuzzResponse(_ data: [UInt8]) {
  guard let choice = data.first else { return }
  let input = Array(data.dropFirst())
  let isHEAD = choice & 1 == 1
  let limits = choice & 2 == 0 ? HTTPLimits.response : .tight
  let whole = read(response: input, cuts: [input.count], isHEAD, limits)
  for cuts in cuts(of: input) {
    let pieces = read(response: input, cuts: cuts, isHEAD, limits)
    require(pieces.isSame(as: whole), "\(shown(input)) cut at \(cuts) reads otherwise: \(pieces) and \(whole)")
  }
  guard case .head(let head) = whole else { return }
  checkPlainly(head, input, isHEAD, limits)
  checkPassedOn(head, input, Sample.plans[Int(choice >> 2) % Sample.plans.count], isHEAD)
}

private func read(
  response input: [UInt8], cuts: [Int], _ isHEAD: Bool, _ limits: HTTPLimits
) -> Reading<ResponseHead> {
  var reader = ResponseReader(limits)
  do throws(HTTPError) {
    for cut in cuts where try reader.read(Exact(input[..<cut]).span, requestMethodIsHEAD: isHEAD) {
      return .head(reader.head)
    }
  } catch {
    return .refused(error)
  }
  return .incomplete
}

extension Reading<ResponseHead> {
  fileprivate func isSame(as other: Reading) -> Bool {
    switch (self, other) {
    case (.head(let a), .head(let b)):
      (a.status, a.minorVersion, a.framing, a.byteCount) == (b.status, b.minorVersion, b.framing, b.byteCount)
        && (a.contentLength, a.wantsClose, a.upgrades) == (b.contentLength, b.wantsClose, b.upgrades)
        && a.fields == b.fields
    case (.incomplete, .incomplete): true
    case (.refused(let a), .refused(let b)): a == b
    default: false
    }
  }
}

/// Section H, read a second time.
private func checkPlainly(_ head: ResponseHead, _ input: [UInt8], _ isHEAD: Bool, _ limits: HTTPLimits) {
  guard let plain = PlainHead(Array(input[..<head.byteCount]), limits, isRequest: false) else {
    fatalError("broken: accepted, but not by a second reading: \(shown(input))")
  }
  let line = String(decoding: plain.first.prefix(12), as: UTF8.self)
  require(["HTTP/1.1 \(head.status)", "HTTP/1.0 \(head.status)"].contains(line), "\(line)")
  require((100...599).contains(head.status) && (plain.first.count == 12 || plain.first[12] == 0x20), "\(line)")
  require(plain.fields.count == head.fields.count, "fields of \(shown(input))")
  for (field, other) in zip(head.fields, plain.fields) {
    require(input[field.name] == other.name[...] && input[field.value] == other.value[...], "fields of \(shown(input))")
  }
  require(plain.hasSoundConnection(emptyElements: true), "Connection in \(shown(input))")
  guard let framing = plain.framing(isHTTP10: head.minorVersion == 0) else {
    fatalError("broken: the framing is in doubt: \(shown(input))")
  }
  let hasNoBody = head.status < 200 || [204, 205, 304].contains(head.status) || isHEAD
  require(head.framing == (hasNoBody ? .none : framing == .none ? .untilClose : framing), "framing of \(shown(input))")
}

/// What the client gets of it reads as what was meant: status, framing, and only the fields that may pass.
private func checkPassedOn(_ head: ResponseHead, _ input: [UInt8], _ plan: Plan, _ isHEAD: Bool) {
  guard !head.isInterim, head.status != 101 else { return }
  var out = Buffer()
  var closes = false
  let framing = plan.appendResponse(head, input.span, id: RequestID(high: 1, low: 2), closes: &closes, to: &out)
  let written = Array(out.span)
  guard case .head(let again) = read(response: written, cuts: [written.count], isHEAD, .wide) else {
    fatalError("broken: what was written of \(shown(input)) does not read: \(shown(written))")
  }
  require(again.status == head.status && again.byteCount == written.count, "\(shown(written))")
  require(again.framing == framing || framing == .none && isHEAD, "\(shown(written)) is framed otherwise than was said")
  let length = head.status == 204 ? nil : head.status == 205 ? 0 : head.contentLength
  require(again.contentLength == length, "the length in \(shown(written))")
  require(closes || again.wantsClose == (again.framing == .untilClose), "\(shown(written))")
  for field in again.fields {
    let name = Plain.lowered(written[field.name])
    let value = Array(written[field.value])
    require(name != "set-cookie" && !name.hasPrefix("access-control-a"), "\(name) passes in \(shown(written))")
    if name == "x-request-id" { require(value.count == 32, "\(shown(written))") }
    if name == "location" {
      let given = head.fields.filter { Plain.lowered(input[$0.name]) == "location" }.map { Array(input[$0.value]) }
      let leadsAway = value.starts(with: "//".utf8) || value.starts(with: "/\\".utf8)
      require(given.contains(value) || !leadsAway, "\(shown(value)) leads elsewhere")
    }
  }
}
