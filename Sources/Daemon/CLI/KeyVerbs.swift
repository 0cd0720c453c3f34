import Bytes
import Config
import Crypto
import Glibc
import JSON
import Vault

extension Verb {
  static let keyGenerate = Verb(
    name: "key generate", operands: "FILE", operandCount: 1...1, summary: "make a master key file (mode 0400)",
    details: """
      Nothing is ever overwritten. Keep a copy where the store's backups are not: without it they are worth nothing.
      FILE may be - for a pipe, so that the key need not touch the disk in clear:

        chatelaine key generate - | systemd-creds encrypt --name=master.key - /etc/chatelaine/master.cred
      """
  ) { invocation, console throws(CommandError) in
    let path = invocation.operands[0]
    if path == "-", isatty(1) == 1 {
      throw CommandError.usage("a key is not shown on a terminal: - is for a pipe", invocation.verb)
    }
    try CommandError.wrap { () throws(VaultError) in
      if path == "-" {
        try MasterKeySource.writeNewKey(to: 1, named: "the output")
      } else {
        try MasterKeySource.generateFile(path)
      }
    }
    if path != "-" { console.show("made \(path)") }
  }

  static let keyRotate = Verb(
    name: "key rotate",
    options: [
      Option(name: "--file", value: "FILE", about: "to the key in another file"),
      Option(name: "--credential", value: "NAME", about: "to a key that systemd hands to the daemon"),
      Option(name: "--passphrase-file", value: "FILE", about: "to a passphrase"),
    ],
    summary: "re-wrap the store under a new master key",
    details: """
      Without options the store's key file is replaced in place: a new key is made, the store takes it, and the file follows;
      the key before stays beside it as FILE.<number>, since backups from before want it. With an option the store moves to
      that key, and "store"."key" in the configuration has to follow.

      Every secret is sealed anew too. A rotation that is interrupted, by whatever, is finished the next time.
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let source = MasterKeySource(setup.configuration.store.key)
    let given = ["--file", "--credential", "--passphrase-file"].filter { invocation.has($0) }
    guard given.count <= 1 else { throw CommandError.usage("one key at a time", invocation.verb) }
    for option in given where option != "--credential" && invocation.options[option]?.hasPrefix("/") != true {
      throw CommandError.usage("\(option) takes an absolute path, since the daemon reads it too", invocation.verb)
    }
    let access = try StoreAccess(setup)
    if let option = given.first, let value = invocation.options[option] {
      let kind = option == "--passphrase-file" ? "passphrase_file" : String(option.dropFirst(2))
      _ = try access.ask("POST", "/key/rotate", rotation(kind, value))
      console.show("rotated")
      return console.tell("Now write in the configuration: \"key\": { \"\(kind)\": \"\(value)\" }")
    }
    guard let replacement = try CommandError.wrap({ () throws(VaultError) in try source.prepareNext() }),
      case .file(let next) = replacement.next
    else { throw CommandError.usage("the store's key is no file, so it cannot be replaced in place", invocation.verb) }
    let generation = try access.ask("POST", "/key/rotate", rotation("file", next))["generation"]?.int ?? 0
    let before: String
    do throws(VaultError) {
      before = try replacement.adopt(generation: Int64(generation))
    } catch {
      throw CommandError(
        error.exitStatus, "the store has taken the key in \(next), but \(error.message)",
        hint: "keep that file: the store opens with it, and the next command finishes this")
    }
    console.show("rotated")
    console.tell("The key before is kept as \(before): backups from before want it.")
  }

  private static func rotation(_ kind: String, _ value: String) -> Secret {
    var text = Buffer()
    text.appendObjectStart()
    text.appendKey("key")
    text.appendObjectStart()
    text.appendMember(kind, value)
    text.appendObjectEnd()
    text.appendObjectEnd()
    return Secret(copying: text.span)
  }
}
