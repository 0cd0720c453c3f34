import Broker
import Bytes
import Connector
import Crypto
import JSON
import Net
import Vault

/// What the endpoints under `/-/oauth/` answer.
enum SessionAnswer: Sendable {
  case json([UInt8])
  /// For a user's browser.
  case page(CallbackPage)
  /// To where the program that began the login wants its user.
  case redirect(String)
  case refusal(Problem)
}

extension Keeper {
  /// Works out an answer, and hands it to `reply` on the keeper's thread.
  /// - Parameters:
  ///   - input: the query of a callback, the body of others, the subject whose session ends.
  ///   - caller: the uid of who asks.
  nonisolated func answer(
    _ endpoint: SessionEndpoint, _ input: Secret, caller: UInt32, _ reply: @escaping @Sendable (SessionAnswer) -> Void
  ) {
    Task(executorPreference: executor) { reply(await self.answer(endpoint, input, caller)) }
  }

  private func answer(_ endpoint: SessionEndpoint, _ input: Secret, _ caller: UInt32) async -> SessionAnswer {
    do throws(Problem) {
      switch endpoint.action {
      case .authorize:
        return .json(try logins.authorize(try office(endpoint.route), LoginDesk.Wish(input.span), caller: caller))
      case .exchange:
        let back = try LoginReturn(body: input.span, route: endpoint.route)
        return .json(try await redeem(back, endpoint.route, caller: caller).json)
      case .list: return .json(try sessions(endpoint.route))
      case .end:
        try end(TokenKey(route: endpoint.route, subject: String(input.span)))
        return .json(Array("{}".utf8))
      case .callback: break
      }
    } catch {
      return .refusal(error)
    }
    do throws(Problem) {
      let back = try LoginReturn(query: input.span, route: endpoint.route)
      let session = try await redeem(back, endpoint.route, caller: nil)
      return session.returnTo.map { .redirect($0) } ?? .page(CallbackPage(session, route: endpoint.route))
    } catch {
      return .page(CallbackPage(error, route: endpoint.route))
    }
  }

  private func office(_ route: String) throws(Problem) -> TokenOffice {
    if route.isEmpty { throw .stateUnknown(route) }
    let office = desk.office(of: route)
    guard let office, office.route.connector.oauth != nil else {
      throw .noLogins(route, isAgent: office?.route.agent != nil)
    }
    return office
  }

  /// From a code to a session that is stored.
  func redeem(_ back: LoginReturn, _ route: String, caller: UInt32?) async throws(Problem) -> LoginDesk.Session {
    let office = try office(route)
    do throws(Problem) {
      let login = try logins.take(back, office, caller: caller)
      let result = await ask(try logins.request(back, login, office))
      let session = try logins.finish(result, back, login, office)
      logins.note(back.state, .session(session))
      return session
    } catch {
      // Whoever guesses states must not end a login that is under way.
      if error.code != .stateUnknown { logins.note(back.state, .failed(error)) }
      throw error
    }
  }

  /// `[{"subject", "state", "expires"?, "generation"}]`.
  private func sessions(_ route: String) throws(Problem) -> [UInt8] {
    do throws(VaultError) {
      return try desk.list(route: route)
    } catch {
      throw .store(error, route: route)
    }
  }

  func end(_ key: TokenKey) throws(Problem) {
    let isEnded: Bool
    do throws(VaultError) {
      isEnded = try desk.drop(key)
    } catch {
      throw .store(error, route: key.route)
    }
    guard !isEnded else { return }
    throw Problem(
      .notConnected, "Nobody is logged in to route \(key.route) under that name.", hint: "chatelaine token list",
      route: key.route)
  }
}
