import Broker
import Bytes
import Crypto

/// What a user's browser shows when they come back: static, without a script, and without a word of what came.
struct CallbackPage: Sendable {
  let status: Int
  private let title: StaticString
  private let text: String

  init(_ session: LoginDesk.Session, route: String) {
    status = 200
    title = "You are logged in"
    text =
      "Chatelaine keeps the session for the route \(route). Programs on this machine use it from now on, and never see it."
  }

  init(_ problem: Problem, route: String) {
    status = problem.status
    switch problem.code {
    case .stateUnknown:
      title = "This login is over"
      text = "It was used already, is more than five minutes old, or was never begun here. Nothing has changed."
    case .authorizationFailed:
      title = "You are not logged in"
      text = "The provider gave no access for the route \(route). Nothing has changed; the log says why."
    default:
      title = "This did not work"
      text = "The login for the route \(route) could not be finished. Nothing has changed; the log says why."
    }
  }

  /// Only this style, nothing else: no script, no image, no frame, no form, no connection.
  static let policy: String = {
    let digest = Digest(.sha256)
    digest.update(Array(style.utf8).span)
    var hash = Buffer()
    digest.finish(into: &hash)
    var text = Buffer()
    text.appendBase64(hash.span)
    return "default-src 'none'; style-src 'sha256-\(String(text.span))'; base-uri 'none'; form-action 'none'; "
      + "frame-ancestors 'none'"
  }()

  var html: [UInt8] {
    Array(
      """
      <!doctype html>
      <html lang="en">
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <title>\(title) · Chatelaine</title>
      <style>\(CallbackPage.style)</style>
      <main class="\(status == 200 ? "good" : "bad")">
      <h1>\(title)</h1>
      <p>\(text)</p>
      <p>You can close this window.</p>
      </main>
      </html>

      """.utf8)
  }

  private static let style = """
    html{color-scheme:light dark;font:17px/1.55 system-ui,sans-serif}
    body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}
    main{max-width:30rem;padding:2rem 2.5rem;border-left:.4rem solid #b3261e}
    main.good{border-color:#2e7d32}
    h1{font-size:1.5rem;margin:0 0 .75rem}
    p{margin:.5rem 0}
    """
}
