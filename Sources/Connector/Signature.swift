import Bytes
import Crypto

/// `es256`: ECDSA on P-256 with a key that comes as a PEM.
extension Signer {
  /// Appends `r ‖ s` of a call.
  /// - Returns: false when the key or the message is absent, or the key is none.
  func emitSignature(_ index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> Bool {
    let node = program.nodes[index]
    guard let signature = signature(node, request, &patch) else { return false }
    guard feed(program.edges[node.firstChild + 1], to: signature, request, &patch) else {
      signature.reset()
      return false
    }
    do throws(ES256Error) {
      try signature.finish(into: &patch.arena)
      return true
    } catch {
      patch.fail(.key(found: described(program.signatures[node.index].key), error), at: index)
      return false
    }
  }

  /// A call, ready for its message; nil when its key is absent, or is none.
  private func signature(
    _ node: Node, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> ES256Signer? {
    if let signer = signers[node.index] { return signer }
    let key = program.signatures[node.index].key
    do throws(ES256Error) {
      return try signingKey(key, request, &patch)
    } catch {
      let isUnknown = token?.generation == Signer.noGeneration && program.nodes[key].traits.contains(.token)
      patch.fail(isUnknown ? .noToken : .key(found: described(key), error), at: key)
      return nil
    }
  }

  /// Reads a node as a PEM.
  /// - Returns: nil when it is absent.
  func signingKey(
    _ key: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) throws(ES256Error) -> ES256Signer? {
    let start = patch.arena.count
    defer { patch.arena.truncate(to: start) }
    switch value(of: key, request, &patch) {
    case .bytes(let slice): return ES256Signer(try ES256Key(pem: span(of: slice, request, patch.arena)))
    case .absent(let reason):
      patch.state.missing = reason
      return nil
    case .number, .pairs: return nil
    }
  }
}
