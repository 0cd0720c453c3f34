import Bytes
import JSON

extension Configuration {
  /// The file that a new installation starts from: the same text as `config/chatelaine.jsonc`, a test holds them together.
  ///
  /// - Parameters: absolute directories, without a slash at the end.
  ///   - runtime: for sockets.
  ///   - state: for the store.
  ///   - settings: for the key and further connectors.
  public static func example(
    runtime: String = "/run/chatelaine", state: String = "/var/lib/chatelaine", settings: String = "/etc/chatelaine"
  ) -> String {
    let (run, state, settings) = (escaped(runtime), escaped(state), escaped(settings))
    return #"""
      // Chatelaine: who may call what, signed with which secret. No secret stands in this file: `chatelaine secret set` stores
      // them, and `chatelaine check` says what is wrong here, with line and column. Durations and sizes need units: "30s", "8MiB".
      {
        "version": 1,

        // Where programs connect: http://127.0.0.1:7220/<route>/…, or the socket. Only processes of the daemon's own user are
        // answered, on either.
        "listen": [
          { "tcp": "127.0.0.1:7220" },
          { "unix": "\#(run)/chatelaine.sock", "mode": "0660" },
        ],

        // The command line talks to the daemon here; the mode is always 0600.
        "admin": { "unix": "\#(run)/admin.sock" },

        // Secrets, encrypted under a key from elsewhere: "file", "credential" (systemd's LoadCredential=) or "passphrase_file".
        "store": {
          "path": "\#(state)/store.db",
          "key": { "file": "\#(settings)/master.key" },
        },

        "routes": {
          // Requests to /codegate/… go to the upstream, signed. Its secrets are codegate/api_key and codegate/secret, as long as
          // no others are named.
          //
          // "codegate": {
          //   "connector": "codegate",
          //   "upstream": "https://api.example.com",
          // },
          //
          // Everything that a route can have:
          //
          // "vendor": {
          //   "connector": "bearer",                    // a built-in one: codegate, basic, oauth2, ath …; or a file in "connectors"
          //   "upstream": "https://api.example.com/v1", // a base path stands before every path
          //   "secrets": { "token": "shared/vendor" },  // the connector's parameter, and the name of the stored secret
          //   "options": { "prefix": "Token" },         // the connector's other parameters
          //   "headers": { "X-Tenant": "t1", "X-User-Token": { "secret": "vendor/user" } },
          //   "tls": { "ca": "/etc/ssl/private-ca.pem" },  // also "client_certificate" with "client_key", a secret's name
          //   "timeouts": { "connect": "5s", "first_byte": "60s", "idle": "90s" },
          //   "limits": { "body": "8MiB" },             // of a request
          //   "retry": { "attempts": 2 },               // after 502, 503 and 504, where repeating does no harm
          //   "listen": [ { "tcp": "127.0.0.1:7301" } ],   // a port of its own, for clients that drop a base URL's path
          //   "hosts": [ "api.vendor.example" ],        // further names that lead here, for clients with an http_proxy
          //   "cookies": "pass",                        // otherwise they are removed, in both directions
          //   "empty_segments": true,                   // let // in paths through
          //   "insecure_upstream": true,                // let http:// leave this machine
          // },
        },

        // "loops": "auto",                              // or a number of threads
        // "log": { "level": "info", "format": "auto" }, // debug, info, warn, error; auto is text on a terminal, else json
        // "metrics": { "tcp": "127.0.0.1:7221" },       // a listener for /-/metrics, /-/livez and /-/readyz alone
        // "connectors": [ "\#(settings)/connectors" ],  // directories with connectors of your own
        // "limits": {                                    // these are the defaults
        //   "connections": 10000, "connections_per_caller": 1000,
        //   "head": "32KiB", "fields": 100, "field": "8KiB", "target": "16KiB",   // of a request
        //   "chunk_extension": "256B", "chunk_extensions": "4KiB", "trailer_fields": 16, "trailers": "4KiB",
        //   "head_time": "10s",                          // from a head's first byte to its last
        //   "body_grace": "10s", "body_rate": "1KiB",    // a second, on average, once the grace is over
        //   "buffered": "256MiB",                        // of bodies that connectors read, all together
        //   "client_idle": "60s", "upstream_idle": "60s", "upstream_requests": 1000,   // of a connection that is kept
        // },
      }

      """#
  }

  /// As it stands inside of a JSON string.
  private static func escaped(_ path: String) -> String {
    var buffer = Buffer()
    buffer.appendJSON(path)
    return String(String(buffer.span).dropFirst().dropLast())
  }
}
