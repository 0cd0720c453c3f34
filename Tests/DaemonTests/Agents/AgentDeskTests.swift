import Bytes
import Crypto
import JSON
import Testing

@testable import Daemon
@testable import Net

private func options(agent: String = "https://agent.example.com/agent.json", provider: String = "mail") -> String {
  #""options": { "agent_id": "\#(agent)", "provider": "\#(provider)", "developer": "E" },"#
}

private let wish =
  #"{"providers":[{"provider_id":"mail","scopes":["read"]}],"purpose":"p","redirect_uris":["https://app.example.com/"]}"#

/// A household whose gateway answers as soon as the gate is open.
private func household(_ gate: Lock<Bool>) async throws -> Household {
  let household = try Household(connector: "ath", route: options()) { request in
    switch request.target {
    case "/.well-known/ath.json": [.wait(gate), .send(json(#"{"ath_version":"0.1","gateway_id":"g"}"#))]
    case "/ath/agents/register":
      [
        .body, .wait(gate),
        .send(json(#"{"client_id":"c-\#(request.connection)","client_secret":"s","agent_status":"approved"}"#)),
      ]
    default: [.send(json("{}", status: "500 Internal Server Error"))]
    }
  }
  let key = String(ES256Key.generate().pem().span)
  #expect(await household.ask("PUT", "/secrets/r%2Fprivate_key", key).status == 200)
  return household
}

extension Household {
  fileprivate func stored() async throws -> [String] {
    let list = try JSONReader.parse(Array(await ask("GET", "/secrets").text.utf8))
    return (list.array ?? []).compactMap { $0["name"]?.string }.filter { $0 == "r/registration" || $0 == "r/discovery" }
  }
}

@Test func `an agent is registered once at a time`() async throws {
  let gate = Lock(false)
  let household = try await household(gate)
  async let first = household.ask("POST", "/ath/r/register", wish)
  await withCheckedContinuation { continuation in
    _ = try? Thread.start("waiting") {
      household.upstream.awaitRequests(1)
      continuation.resume()
    }
  }
  let second = await household.ask("POST", "/ath/r/register", wish)
  #expect(second.status == 503 && second.text.contains("being registered already"), "\(second)")
  gate.signal { $0 = true }
  let answer = await first
  #expect(answer.status == 200 && answer.text.contains(#""client_id":"c-0""#), "\(answer)")
  #expect(household.upstream.settled().count == 1)
  // Afterwards it may be again.
  #expect(await household.ask("POST", "/ath/r/register", wish).text.contains(#""client_id":"c-1""#))
  #expect(try await household.stored() == ["r/registration"])
}

@Test(arguments: ["discover", "register"], [true, false])
func `what was asked for an agent that the route has no more is not stored`(_ step: String, _ isOther: Bool)
  async throws
{
  let gate = Lock(false)
  let household = try await household(gate)
  async let answer = household.ask("POST", "/ath/r/\(step)", step == "register" ? wish : "")
  await withCheckedContinuation { continuation in
    _ = try? Thread.start("waiting") {
      household.upstream.awaitRequests(1)
      continuation.resume()
    }
  }
  household.home.rewrite(
    route: isOther ? options(agent: "https://other.example.com/agent.json") : options(provider: "calendar"))
  #expect(await household.ask("POST", "/reload").status == 200)
  gate.signal { $0 = true }
  let (status, text) = await answer
  if isOther {
    #expect(status != 200 && text.contains("pointed elsewhere"), "\(text)")
    #expect(try await household.stored() == [])
  } else {
    #expect(status == 200, "\(text)")
    #expect(try await household.stored() == [step == "register" ? "r/registration" : "r/discovery"])
  }
  // The next one is asked as usual.
  #expect(await household.ask("POST", "/ath/r/\(step)", step == "register" ? wish : "").status == 200)
}
