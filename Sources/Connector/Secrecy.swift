/// What `explain` may show: worked out once the whole file is read, since what is sent becomes part of what is signed.
extension Program {
  /// Marks what a secret can be read back from, and what is as good as a secret.
  ///
  /// A digest or signature of secrets and constants is: whoever reads it can send it. So is what keys a MAC or a signature,
  /// whatever else went into it.
  /// The query and body are, once a secret has been put into them.
  mutating func deriveSecrecy(
    _ values: [Connector.Definition], body: [Connector.Target], query: [Connector.Target]
  ) {
    let phases = phases(values, body, query)
    var masked: Set<Int> = []
    var tokens: Set<Int> = []
    var count = -1
    while count < masked.count + tokens.count {
      count = masked.count + tokens.count
      for index in nodes.indices {
        derive(index, values, isMasked: masked.contains(index), hasToken: tokens.contains(index))
      }
      for key in macs.map(\.key) + signatures.map(\.key) { collectDerived(key, values, &masked) }
      let inBody = body.map { nodes[$0.node].traits }
      let inQuery = query.map { nodes[$0.node].traits }
      for (index, phase) in phases.enumerated() {
        let sent =
          switch nodes[index].operation {
          case .body where phase > .body: inBody
          case .query, .rawQuery, .target: phase > .query ? inQuery : []
          default: [Node.Traits]()
          }
        if sent.contains(where: { $0.contains(.secret) }) { masked.insert(index) }
        if sent.contains(where: { $0.contains(.token) }) { tokens.insert(index) }
      }
    }
  }

  /// The phase in which each node is evaluated.
  private func phases(
    _ values: [Connector.Definition], _ body: [Connector.Target], _ query: [Connector.Target]
  ) -> [Connector.Phase] {
    var phases = [Connector.Phase](repeating: .headers, count: nodes.count)
    func mark(_ node: Int, _ phase: Connector.Phase) {
      phases[node] = phase
      for child in children(of: node) { mark(child, phase) }
    }
    for value in values { mark(value.node, value.phase) }
    for target in body { mark(target.node, .body) }
    for target in query { mark(target.node, .query) }
    return phases
  }

  /// A node's children, and the value that it names, come before it.
  private mutating func derive(_ index: Int, _ values: [Connector.Definition], isMasked: Bool, hasToken: Bool) {
    let node = nodes[index]
    var traits: Node.Traits = []
    switch node.operation {
    case .value: traits = nodes[values[node.index].node].traits.intersection(Node.Traits.secrecy)
    case .secret: traits = [.secret, .constant]
    case .state, .code, .codeVerifier: traits = .secret
    case .token: traits = [.secret, .constant, .token]
    case .literal, .number, .option, .route, .host, .subject, .time, .now, .nowMS: traits = .constant
    default:
      let inherited = children(of: index).map { nodes[$0].traits }
      if !inherited.isEmpty, inherited.allSatisfy({ $0.contains(.constant) }) { traits = .constant }
      if inherited.contains(where: { $0.contains(.token) }) { traits.insert(.token) }
      let isSecret = inherited.contains { $0.contains(.secret) }
      let isDerived = inherited.contains { $0.contains(.derived) }
      if node.operation.isOneWay {
        if isSecret || isDerived { traits.insert(traits.contains(.constant) ? .secret : .derived) }
      } else {
        if isSecret { traits.insert(.secret) }
        if isDerived { traits.insert(.derived) }
      }
    }
    if isMasked { traits.insert(.secret) }
    if hasToken { traits.insert(.token) }
    nodes[index].traits = nodes[index].traits.subtracting(Node.Traits.secrecy).union(traits)
  }

  /// The digests, MACs and signatures that a key is made of.
  private func collectDerived(_ index: Int, _ values: [Connector.Definition], _ found: inout Set<Int>) {
    let node = nodes[index]
    guard node.traits.contains(.derived) else { return }
    if node.operation == .value {
      collectDerived(values[node.index].node, values, &found)
    } else if node.operation.isOneWay {
      found.insert(index)
    } else {
      for child in children(of: index) { collectDerived(child, values, &found) }
    }
  }
}

extension Node.Traits {
  fileprivate static let secrecy: Node.Traits = [.secret, .derived, .constant, .token]
}
