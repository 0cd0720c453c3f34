import Bytes
import HTTP

/// The first byte says how many of the next are lengths of reads; the rest is all that a caller sends on one connection.
func fuzzConnection(_ data: [UInt8]) {
  guard let lengths = data.first.map({ Int($0 & 15) }), data.count > lengths + 1 else { return }
  let input = Array(data[(lengths + 1)...])
  var places: [Int] = []
  for length in data[1..<(lengths + 1)] { places.append(min((places.last ?? 0) + Int(length) + 1, input.count)) }
  let whole = Conversation(input, cuts: [input.count])
  for cuts in [places + [input.count]] + cuts(of: input) {
    let pieces = Conversation(input, cuts: cuts)
    require(pieces == whole, "\(shown(input)) cut at \(cuts) reads otherwise: \(pieces) and \(whole)")
  }
  checkPlainly(whole, input)
}

/// Request after request, the second reading finds the same ones.
private func checkPlainly(_ conversation: Conversation, _ input: [UInt8]) {
  var at = 0
  for exchange in conversation.exchanges {
    guard let plain = PlainRequest(Array(input[at..<(at + exchange.headBytes)]), .request) else {
      fatalError("broken: accepted, but not by a second reading: \(shown(input)) at \(at)")
    }
    require(Request(plain) == exchange.request, "\(shown(input)) at \(at)")
    at += exchange.headBytes
    guard let bodyBytes = exchange.bodyBytes else { return }
    let body = Array(input[at..<(at + bodyBytes)])
    switch plain.framing {
    case .none, .untilClose: require(body.isEmpty && exchange.body.isEmpty, "a body in \(shown(input))")
    case .length(let length): require(body == exchange.body && body.count == Int(length), "the body in \(shown(input))")
    case .chunked: require(PlainChunks.decode(body) == exchange.body, "the chunks in \(shown(input))")
    }
    at += bodyBytes
  }
}

/// All requests of a connection, read through a buffer as the daemon does it.
private struct Conversation: Equatable {
  struct Exchange: Equatable {
    var request: Request
    var headBytes: Int
    var body: [UInt8] = []
    /// nil: the body has not ended.
    var bodyBytes: Int?
  }

  var exchanges: [Exchange] = []
  var error: HTTPError?
  var isIdle = true

  init(_ input: [UInt8], cuts: [Int]) {
    var buffer = Buffer()
    var reader = RequestReader()
    var body: BodyReader?
    var bodyBytes = 0
    var at = 0
    do throws(HTTPError) {
      for cut in cuts where cut > at {
        buffer.append(Exact(input[at..<cut]).span)
        at = cut
        reading: while true {
          if body == nil {
            guard try reader.read(buffer.span) else { break }
            let bytes = Array(buffer.span)
            exchanges.append(Exchange(request: Request(reader.head, bytes), headBytes: reader.head.byteCount))
            buffer.consume(reader.head.byteCount)
            body = BodyReader(reader.head.framing)
            bodyBytes = 0
          }
          while let piece = try body?.next(buffer.span) {
            exchanges[exchanges.count - 1].body += Array(buffer.span.extracting(piece.payload))
            buffer.consume(piece.consumed)
            bodyBytes += piece.consumed
            if piece.finished { break }
            if piece.needsMore { break reading }
          }
          exchanges[exchanges.count - 1].bodyBytes = bodyBytes
          body = nil
          reader.reset()
        }
      }
    } catch {
      self.error = error
    }
    isIdle = error == nil && body == nil && reader.isIdle && buffer.isEmpty
  }
}
