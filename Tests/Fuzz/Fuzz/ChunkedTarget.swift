import Bytes
import HTTP

/// The input is a chunked body and whatever follows it.
func fuzzChunked(_ data: [UInt8]) {
  let whole = Body(data, cuts: [data.count])
  for cuts in cuts(of: data) {
    let pieces = Body(data, cuts: cuts)
    require(pieces == whole, "\(shown(data)) cut at \(cuts) reads otherwise: \(pieces) and \(whole)")
  }
  guard case .finished(let count) = whole.end else { return }
  require(PlainChunks.decode(Array(data[..<count])) == whole.payload, "a second reading of \(shown(data)) differs")
  guard !whole.payload.isEmpty else { return }
  var out = Buffer()
  out.appendChunkHeader(whole.payload.count)
  out.append(whole.payload)
  out.appendChunkEnd()
  out.appendLastChunk()
  let again = Body(Array(out.span), cuts: [out.count])
  require(again.payload == whole.payload && again.end == .finished(out.count), "what was written of \(shown(data))")
}

/// What a body reader finds in an input.
struct Body: Equatable {
  enum End: Equatable {
    /// Bytes of the input that the body took.
    case finished(Int)
    case open
    case refused(HTTPError)
  }

  var payload: [UInt8] = []
  var end = End.open

  init(_ input: [UInt8], cuts: [Int], _ framing: BodyFraming = .chunked) {
    var reader = BodyReader(framing)
    var at = 0
    do throws(HTTPError) {
      for cut in cuts {
        while case .open = end {
          let piece = try reader.next(Exact(input[at..<cut]).span)
          payload += input[at..<cut][(at + piece.payload.lowerBound)..<(at + piece.payload.upperBound)]
          at += piece.consumed
          require(piece.consumed > 0 || piece.finished || at == cut, "no step in \(shown(input))")
          if piece.finished { end = .finished(at) }
          if piece.needsMore || at == cut { break }
        }
      }
    } catch {
      end = .refused(error)
    }
    require(reader.received == UInt64(payload.count) || end != .finished(at), "the count of \(shown(input))")
  }
}
